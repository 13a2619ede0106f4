"""The operating system: firewall, SELinux, swap, names, kernel, time."""

from __future__ import annotations

from pyinfra.api import deploy

from kubeinfra.facts.machine import CHRONY_MARK
from kubeinfra.machine.edits import (
    MODULES,
    PACKAGES,
    fstab_swap_lines,
    fstab_without_swap,
    hosts_file,
    modules_conf,
    selinux_config,
    sysctl_conf,
    sysctls,
)
from kubeinfra.machine.render import template
from kubeinfra.machine.wanted import Directory, Edit, File, Wanted
from kubeinfra.operations.files import install
from kubeinfra.operations.system import note, packages, prepare
from kubeinfra.operations.units import Unit, converge
from kubeinfra.run.hosts import is_deploy_file, this_machine
from kubeinfra.run.inventory import cluster
from tasks.preflight import machine_state, preflight


@deploy("host")
def operating_system() -> None:
    """Every machine of the inventory, whatever its part."""
    hostname = this_machine().hostname
    wanted = sysctls(cluster())
    chrony = chrony_unit()
    family = machine_state().family
    install(
        [
            Edit("/etc/hosts", lambda text: hosts_file(text, cluster()), in_place=True),
            Edit("/etc/hostname", lambda _: f"{hostname}\n", in_place=True),
            Edit("/etc/fstab", fstab_without_swap, create=False, ours=fstab_swap_lines),
            Edit("/etc/selinux/config", selinux_config, create=False),
            File("/etc/modules-load.d/kubernetes.conf", modules_conf(MODULES)),
            # The last in order: Debian's 99-sysctl.conf is /etc/sysctl.conf, which may say otherwise.
            File("/etc/sysctl.d/99-zz-kubernetes.conf", sysctl_conf(wanted)),
            *(chrony_files(chrony) if chrony else []),
        ],
        name="files",
    )
    # After their files: a run that is killed in between knows its own chrony again, and goes on with it.
    packages([*PACKAGES[family], *(["chrony"] if chrony else [])], family, name="packages")
    prepare(hostname, MODULES, wanted, name="running system")
    if chrony:
        converge([chrony], starts=True, name="chrony")


def chrony_unit() -> Unit | None:
    """Certificates and etcd need clocks that agree. A time daemon that others set up is left alone."""
    machine = machine_state()
    if not cluster().settings.time_servers or machine.keeps_time:
        return None
    if machine.container:
        note("a container has its host's clock; no time daemon is set up")
        return None
    return Unit("chrony.service" if machine.family == "debian" else "chronyd.service")


def chrony_files(unit: Unit) -> list[Wanted]:
    path = "/etc/chrony/chrony.conf" if machine_state().family == "debian" else "/etc/chrony.conf"
    servers = cluster().settings.time_servers
    return [
        *([Directory("/etc/chrony")] if path.startswith("/etc/chrony/") else []),
        File(path, template("host/chrony.conf.j2", mark=CHRONY_MARK, servers=servers)),
        File(
            f"/etc/systemd/system/{unit.name}.d/kubeinfra.conf",
            template("inputs.conf.j2", unit=unit.name, inputs=[path]),
        ),
    ]


if is_deploy_file(__file__):
    preflight()
    operating_system()
