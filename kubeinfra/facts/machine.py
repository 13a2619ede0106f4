"""What kind of machine this is, and how its operating system is set up."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Interface
from shlex import join, quote
from time import time

from pyinfra.api import FactBase

from kubeinfra.components.runtime import NAMES, VERSIONS, installed
from kubeinfra.facts.software import SOFTWARE, software
from kubeinfra.machine.packages import UNREACHED
from kubeinfra.machine.render import static
from kubeinfra.machine.state import CHRONY_MARK, InterfaceAddress, MachineState, SystemState
from kubeinfra.machine.survey import survey
from kubeinfra.paths import (
    ETCD_BIN,
    ETCD_CA,
    ETCD_CFG,
    ETCD_DATA,
    ETCDCTL,
    FRONT_PROXY_CA,
    KEEPALIVED_CONF,
    KUBERNETES_CA,
    SERVICE_ACCOUNT_KEY,
    TOKEN_CSV,
)

CA_FILES = {"etcd": ETCD_CA, "kubernetes": KUBERNETES_CA, "front-proxy": FRONT_PROXY_CA}
# File of each shared secret, and a pattern that only the cluster's own file has: a package may install a sample.
SECRET_FILES = {
    "service-account-key": (SERVICE_ACCOUNT_KEY, "PRIVATE KEY"),
    "bootstrap-token": (TOKEN_CSV, "kubelet-bootstrap"),
    "vrrp-password": (KEEPALIVED_CONF, "^vrrp_instance kube_apiserver"),
}
# A member keeps the name that its data was created with, even if the order of the inventory has changed.
_ETCD = (
    f'if [ -d {ETCD_DATA}/member ]; then echo "etcd-name=$(sed -n s/^ETCD_NAME=//p {ETCD_CFG}/etcd 2>/dev/null)"; '
    f'asks() {{ ETCDCTL_ENDPOINTS=https://127.0.0.1:2379 timeout 5 {ETCDCTL} endpoint "$@" 2>/dev/null; }}; '
    'said=$(asks status -w json); echo "$said" | sed -n \'s/.*"cluster_id":\\([0-9]*\\).*/etcd-cluster=\\1/p\'; '
    f"{{ echo \"$said\"; {ETCD_BIN}/etcd --version; }} 2>/dev/null | sed -n -e 's/^etcd Version: /etcd-version=/p' "
    '-e \'s/.*"version":"\\([0-9.]*\\)".*/etcd-version=\\1/p\' | head -n 1; '
    "if asks health >/dev/null; then echo etcd-serves=yes; fi; fi"
)
# What a cloud says of /etc/hosts wins over files below /etc; a file that was made from the template says so at its top.
_CLOUD_INIT = (
    "if [ -d /etc/cloud/cloud.cfg.d ]; then echo cloud-init=yes; "
    "if grep -rqsiE '(^ *manage_etc_hosts: *[^[:alnum:]]?(true|template))|configured .manage_etc_hosts. as true' "
    "/etc/cloud/cloud.cfg /etc/cloud/cloud.cfg.d /var/lib/cloud/instance/ /etc/hosts; "
    "then echo cloud-init-hosts=yes; fi; fi"
)
_TIME_DAEMONS = "chrony chronyd systemd-timesyncd ntp ntpd ntpsec openntpd"
# Shell that prints the swap units that a file defines: one of fstab's lines, a generator's, or your own. The others
# are names of a swap that is in use, as many as its device has links, and one of these is whatever disk comes second.
SWAP_UNITS = """\
systemctl show '*.swap' -p Id -p LoadState -p FragmentPath 2>/dev/null | awk '
function told() { if (is["LoadState"] == "loaded" && is["FragmentPath"] != "") print is["Id"]; split("", is) }
/^$/ { told(); next }
{ at = index($0, "="); is[substr($0, 1, at - 1)] = substr($0, at + 1) }
END { told() }'"""
# Services that switch swap on by a program of their own; of others, one that runs swapon itself is found.
_SWAP_SERVICES = " ".join(
    f"{name}.service"
    for name in ("zramswap", "zram-config", "zram-swap", "dphys-swapfile", "swapspace", "systemd-swap", "hibinit-agent")
)
# Files that run something at boot, and Azure's agent, which makes swap on a disk of its own.
_BOOT_SCRIPTS = (
    "/etc/rc.local /etc/rc.d/rc.local /etc/crontab /etc/cron.d/* /var/spool/cron/*root /var/spool/cron/*/root"
)
_AZURE = "/etc/waagent.conf"
SURVEY = "preflight/survey.sh"
_ARCHES = {"x86_64": "amd64", "aarch64": "arm64"}


class MachineFacts(FactBase[MachineState]):
    """
    What kind of machine this is, and all that preflight's checks look at. One command.

    + etcd: whether it is to be an etcd member, whose disk is measured
    + reach: "address:port" of other machines to which a TCP connection is tried
    """

    def command(self, etcd: bool = False, reach: Sequence[str] = ()) -> str:
        cas = "; ".join(f'[ ! -f {path} ] || echo "ca={name} $(base64 -w0 {path})"' for name, path in CA_FILES.items())
        secrets = "; ".join(
            f"if grep -qs '{mark}' {path}; then echo secret={name}; fi" for name, (path, mark) in SECRET_FILES.items()
        )
        return (
            'echo "uid=$(id -u)"; echo "arch=$(uname -m)"; '
            "[ ! -d /run/systemd/system ] || systemctl --version | awk 'NR == 1 {print \"systemd=\" $2}'; "
            "if command -v apt-get >/dev/null; then echo family=debian; "
            "elif command -v dnf >/dev/null || command -v yum >/dev/null; then echo family=redhat; fi; "
            "if [ -f /.dockerenv ] || [ -f /run/systemd/container ]; then echo container=yes; fi; "
            '[ "$(stat -f -c %T /sys/fs/cgroup 2>/dev/null)" != cgroup2fs ] || echo cgroup=2; '
            '[ ! -f /etc/resolv.conf ] || echo "resolv=$(base64 -w0 /etc/resolv.conf)"; '
            'resolved=/run/systemd/resolve/resolv.conf; [ ! -f $resolved ] || echo "resolved=$(base64 -w0 $resolved)"; '
            f"{_CLOUD_INIT}; "
            f"if ! grep -qs '^{CHRONY_MARK}' /etc/chrony/chrony.conf /etc/chrony.conf; then "
            f"for unit in {_TIME_DAEMONS}; do "
            "if systemctl --quiet is-active $unit 2>/dev/null; then echo time=$unit; fi; done; fi; "
            f"{VERSIONS}; {_ETCD}; {SOFTWARE}; "
            'ip -o -4 addr show | awk \'{print "address=" $2 " " $4}\'; '
            f"{cas}; {secrets}\netcd={'yes' if etcd else 'no'} reach={quote(' '.join(reach))}\n"
            f"{static(SURVEY)}\ndate +clock=%s; exit 0"
        )

    def process(self, output: list[str]) -> MachineState:
        now = time()
        values: dict[str, str] = {}
        cas = {}
        secrets = set()
        interfaces = []
        for line in output:
            key, _, value = line.partition("=")
            if key == "ca":
                name, encoded = value.split(" ")
                cas[name] = b64decode(encoded).decode(errors="replace")
            elif key == "secret":
                secrets.add(value)
            elif key == "address":
                interface, address = value.split(" ")
                interfaces.append(InterfaceAddress(interface, IPv4Interface(address)))
            else:
                values[key] = value
        return MachineState(
            uid=int(values["uid"]),
            arch=_ARCHES.get(values["arch"], values["arch"]),
            systemd=_major(values.get("systemd", "")),
            family=values.get("family", ""),
            distribution=values.get("id", ""),
            container="container" in values,
            cgroup_v2="cgroup" in values,
            resolv_conf=b64decode(values.get("resolv", "")).decode(errors="replace"),
            systemd_resolv_conf=b64decode(values.get("resolved", "")).decode(errors="replace"),
            cloud_init="cloud-init" in values,
            cloud_init_hosts="cloud-init-hosts" in values,
            keeps_time="time" in values,
            runtimes={name: installed(name, values) for name in NAMES if name in values},
            kubelet_runtime=values.get("kubelet-runtime", ""),
            clock_ahead=float(values.get("clock", now)) - now,
            etcd_name=values.get("etcd-name"),
            etcd_version=values.get("etcd-version", ""),
            etcd_cluster=f"{int(values['etcd-cluster']):x}" if "etcd-cluster" in values else None,
            etcd_serves="etcd-serves" in values,
            interfaces=tuple(interfaces),
            cas=cas,
            secrets=frozenset(secrets),
            software=software(output),
            survey=survey(output),
        )


def _major(version: str) -> int | None:
    first = version.strip().partition(".")[0]
    return int(first) if first.isdecimal() else None


class System(FactBase[SystemState]):
    """
    How the operating system is set up. One command.

    + modules: kernel module -> a path that exists if it is built in or loaded
    + sysctls: keys
    """

    def command(self, modules: dict[str, str], sysctls: Iterable[str]) -> str:
        probes = "\n".join(f"{name} {path}" for name, path in modules.items())
        keys = join(sysctls)
        return f"""\
echo "hostname=$(cat /proc/sys/kernel/hostname)"
for unit in firewalld ufw; do
    if systemctl --quiet is-active $unit 2>/dev/null || systemctl --quiet is-enabled $unit 2>/dev/null
    then echo "firewall=$unit"; fi
done
if command -v getenforce >/dev/null; then echo "selinux=$(getenforce)"; fi
tail -n +2 /proc/swaps | while read -r swap rest; do echo "swap=$swap"; done
{SWAP_UNITS} | sed 's/^/swap-unit=/'
own=$(grep -ls '^Exec.*swapon' /etc/systemd/system/*.service /lib/systemd/system/*.service | sed 's#.*/##' | sort -u)
# shellcheck disable=SC2086  # a list of names
systemctl list-unit-files --no-legend --state=enabled {_SWAP_SERVICES} $own 2>/dev/null |
    awk '{{print "swap-service=" $1}}'
grep -lsE '^[^#]*swapon( |$)' {_BOOT_SCRIPTS} | sed 's/^/swap-script=/'
grep -lsi '^ *ResourceDisk.EnableSwap *= *y' {_AZURE} | sed 's/^/swap-script=/'
while read -r module path; do
    if [ -e "/sys/module/$module" ] || [ -e "$path" ] ||
        grep -qs "/$module\\.ko" "/lib/modules/$(uname -r)/modules.builtin"; then echo "module=$module loaded"
    elif modprobe --dry-run --quiet "$module" 2>/dev/null; then echo "module=$module loadable"
    else echo "module=$module missing"; fi
done <<'END'
{probes}
END
for key in {keys}; do
    path=/proc/sys/$(echo "$key" | tr . /)
    [ -e "$path" ] || continue
    echo "sysctl=$key $(cat "$path")"
    [ -w "$path" ] || echo "read-only=$key"
done
exit 0"""

    def process(self, output: list[str]) -> SystemState:
        found: dict[str, list[str]] = {}
        for line in output:
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)

        def pairs(key: str) -> dict[str, str]:
            return {name: value for name, _, value in (text.partition(" ") for text in found.get(key, []))}

        return SystemState(
            hostname=found["hostname"][0],
            firewalls=tuple(found.get("firewall", [])),
            selinux=found.get("selinux", [""])[0],
            swaps=tuple(found.get("swap", [])),
            swap_units=tuple(found.get("swap-unit", [])),
            swap_services=tuple(dict.fromkeys(found.get("swap-service", []))),
            swap_scripts=tuple(found.get("swap-script", [])),
            modules=pairs("module"),
            sysctls={key: " ".join(value.split()) for key, value in pairs("sysctl").items()},
            read_only=tuple(found.get("read-only", [])),
        )


class MissingPackages(FactBase[set[str]]):
    """
    Which of these packages of the distribution are not installed.

    + names: package names; + family: "debian" or "redhat"
    """

    default = set

    def command(self, names: list[str], family: str) -> str:
        if family == "debian":
            is_installed = "dpkg-query -W -f '${db:Status-Status}\\n' $name 2>/dev/null | grep -qx installed"
        else:
            # By what a package provides: iptables is in package iptables-nft today, curl perhaps in curl-minimal.
            is_installed = "rpm --quiet -q --whatprovides $name"
        return f"for name in {join(names)}; do {is_installed} || echo $name; done"

    def process(self, output: list[str]) -> set[str]:
        return set(output)


class Unreached(FactBase[list[str]]):
    """What the package manager said of repositories that did not answer when packages were last installed."""

    default = list

    def command(self) -> str:
        return f"[ ! -f {UNREACHED} ] || cat {UNREACHED}"

    def process(self, output: list[str]) -> list[str]:
        return output
