"""The operating system under every machine: names, swap, SELinux, kernel modules, sysctls, time."""

from __future__ import annotations

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.components.base import Component, Here, Unit
from kubeinfra.components.proxy_mode import proxy_mode
from kubeinfra.machine.edits import (
    MODULES_MARK,
    fstab_swap_lines,
    fstab_without_swap,
    hosts_file,
    modules_conf,
    selinux_config,
    sysctl_conf,
)
from kubeinfra.machine.render import static, template
from kubeinfra.machine.state import CHRONY_MARK, MachineState
from kubeinfra.machine.wanted import Directory, Edit, File, NoFile, Wanted

MODULES_CONF = "/etc/modules-load.d/kubernetes.conf"
IPVS_MODULES_CONF = "/etc/modules-load.d/ipvs.conf"
# Sorted last: Debian's 99-sysctl.conf is /etc/sysctl.conf, which may have other values.
SYSCTL_CONF = "/etc/sysctl.d/99-zz-kubernetes.conf"
CLOUD_INIT_CONF = "/etc/cloud/cloud.cfg.d/99-zz-kubeinfra.cfg"  # sorted last, as later files win
OWNS = (MODULES_CONF, IPVS_MODULES_CONF, SYSCTL_CONF, CLOUD_INIT_CONF)

# Module -> a path that exists if the kernel has it, loaded or built in.
MODULES = {
    "overlay": "/sys/module/overlay",
    "br_netfilter": "/proc/sys/net/bridge/bridge-nf-call-iptables",
    "nf_conntrack": "/proc/sys/net/netfilter/nf_conntrack_max",
}


def describe(here: Here) -> Component:
    """Shared files are edited, not replaced; `kubeinfra.operations.system` then applies them to the running system."""
    hostname, chrony = here.machine.hostname, chrony_unit(here)
    files: tuple[Wanted, ...] = (
        Edit("/etc/hosts", lambda text: hosts_file(text, here.cluster), in_place=True),
        Edit("/etc/hostname", lambda _: f"{hostname}\n", in_place=True),
        *([] if keeps_swap(here) else [Edit("/etc/fstab", fstab_without_swap, create=False, shown=fstab_swap_lines)]),
        Edit("/etc/selinux/config", selinux_config, create=False),
        *cloud_init_files(here),
        File(MODULES_CONF, modules_conf(MODULES)),
        File(SYSCTL_CONF, sysctl_conf(sysctls(here.cluster))),
        *(chrony_files(here, chrony) if chrony else ()),
    )
    return Component(files)


def keeps_swap(here: Here) -> bool:
    """Whether the machine's swap stays as it is: on a node whose pods may use it."""
    return here.settings.swap == "limited" and "node" in here.machine.groups


def cloud_init_files(here: Here) -> list[Wanted]:
    """
    cloud-init leaves host name and /etc/hosts as they are, also at boot.

    What the cloud says of manage_etc_hosts wins over our file; then /etc/hosts is made from this template:
    https://docs.cloud-init.io/en/latest/reference/modules.html#update-etc-hosts
    """
    if not here.seen.cloud_init:
        return []
    files: list[Wanted] = [File(CLOUD_INIT_CONF, static("host/cloud-init.cfg"))]
    if here.seen.cloud_init_hosts:
        hosts = f"/etc/cloud/templates/hosts.{here.seen.family}.tmpl"
        files.append(Edit(hosts, lambda text: hosts_file(text, here.cluster), create=False))
    return files


def packages(here: Here) -> list[str]:
    """Those of the host; AppArmor's for a container runtime that meets it, before it starts."""
    meets_apparmor = "node" in here.machine.groups and here.seen.software.apparmor
    return [
        *here.platform.host,
        *(here.platform.apparmor if meets_apparmor else ()),
        *(["chrony"] if chrony_unit(here) else []),
    ]


def sysctls(cluster: Cluster) -> dict[str, str]:
    """The guide's keys: the kernel must filter bridged pod traffic and forward it."""
    settings = cluster.settings
    own = {
        "net.bridge.bridge-nf-call-iptables": "1",
        "net.bridge.bridge-nf-call-ip6tables": "1",
        "net.ipv4.ip_forward": "1",
    }
    if settings.disable_ipv6:
        own |= {"net.ipv6.conf.all.disable_ipv6": "1", "net.ipv6.conf.default.disable_ipv6": "1"}
    return own | {key: str(value) for key, value in settings.extra_sysctls.items()}


def has_clock_of_its_own(seen: MachineState) -> bool:
    """A container has its host's."""
    return not seen.container


def chrony_unit(here: Here) -> Unit | None:
    """Certificates and etcd need clocks that agree. Another time daemon that already runs is left alone."""
    if not here.settings.time_servers or here.seen.keeps_time or not has_clock_of_its_own(here.seen):
        return None
    return Unit(here.platform.chrony)


def chrony_files(here: Here, unit: Unit) -> list[Wanted]:
    path = here.platform.chrony_conf
    return [
        *([Directory("/etc/chrony")] if path.startswith("/etc/chrony/") else []),
        File(path, template("host/chrony.conf.j2", mark=CHRONY_MARK, servers=here.settings.time_servers)),
        File(unit.drop_in, template("inputs.conf.j2", unit=unit.name, inputs=[path])),
    ]


def uses_ipvs(here: Here) -> bool:
    return proxy_mode(here.cluster, here.machine, here.seen) == "ipvs"


def uses_nftables(here: Here) -> bool:
    return proxy_mode(here.cluster, here.machine, here.seen) == "nftables"


def ipvs_modules(here: Here) -> dict[str, str]:
    """
    The modules that kube-proxy needs, and that of the scheduler; in the form of MODULES.

    Before Linux 4.19 IPv4's connection tracking was a module of its own, which kube-proxy asks for. The machine's files
    decide: EL 8's kernel says 4.18, and has it no longer since 8.3.
    """
    older = ("nf_conntrack_ipv4",) if here.seen.survey.conntrack_ipv4 else ()
    schedulers = dict.fromkeys(("ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", f"ip_vs_{here.settings.ipvs_scheduler}", *older))
    return {"ip_vs": "/proc/net/ip_vs"} | {name: f"/sys/module/{name}" for name in schedulers}


def describe_ipvs(here: Here) -> Component:
    """kube-proxy's modules, loaded at boot; no longer, if its mode is another now."""
    if not uses_ipvs(here):
        return Component((NoFile(IPVS_MODULES_CONF, MODULES_MARK),))
    return Component((File(IPVS_MODULES_CONF, modules_conf(ipvs_modules(here))),))
