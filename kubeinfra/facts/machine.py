"""What kind of machine this is, and how its operating system is set up."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from ipaddress import IPv4Interface
from shlex import join
from time import time

from pyinfra.api import FactBase

from kubeinfra.components.runtime import VERSIONS
from kubeinfra.machine.render import static
from kubeinfra.machine.state import CHRONY_MARK, InterfaceAddress, MachineState, SystemState
from kubeinfra.machine.survey import survey
from kubeinfra.paths import (
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
    "asks status -w json | sed -n 's/.*\"cluster_id\":\\([0-9]*\\).*/etcd-cluster=\\1/p'; "
    "if asks health >/dev/null; then echo etcd-serves=yes; fi; fi"
)
_TIME_DAEMONS = "chrony chronyd systemd-timesyncd ntp ntpd ntpsec openntpd"
SURVEY = "preflight/survey.sh"
_ARCHES = {"x86_64": "amd64", "aarch64": "arm64"}


class MachineFacts(FactBase[MachineState]):
    """
    What kind of machine this is, and all that preflight's checks look at. One command.

    + etcd: whether it is to be an etcd member, whose disk is measured
    """

    def command(self, etcd: bool = False) -> str:
        cas = "; ".join(f'[ ! -f {path} ] || echo "ca={name} $(base64 -w0 {path})"' for name, path in CA_FILES.items())
        secrets = "; ".join(
            f"if grep -qs '{mark}' {path}; then echo secret={name}; fi" for name, (path, mark) in SECRET_FILES.items()
        )
        return (
            'echo "uid=$(id -u)"; echo "arch=$(uname -m)"; '
            "[ ! -d /run/systemd/system ] || systemctl --version | awk 'NR == 1 {print \"systemd=\" $2}'; "
            "if command -v apt-get >/dev/null; then echo family=debian; "
            "elif command -v dnf >/dev/null || command -v yum >/dev/null; then echo family=redhat; fi; "
            '[ ! -f /etc/os-release ] || (. /etc/os-release; echo "id=$ID"); '
            "if [ -f /.dockerenv ] || [ -f /run/systemd/container ]; then echo container=yes; fi; "
            '[ ! -f /etc/resolv.conf ] || echo "resolv=$(base64 -w0 /etc/resolv.conf)"; '
            "[ ! -f /run/systemd/resolve/resolv.conf ] || echo resolved=yes; "
            f"if ! grep -qs '^{CHRONY_MARK}' /etc/chrony/chrony.conf /etc/chrony.conf; then "
            f"for unit in {_TIME_DAEMONS}; do "
            "if systemctl --quiet is-active $unit 2>/dev/null; then echo time=$unit; fi; done; fi; "
            f"{VERSIONS}; {_ETCD}; "
            'ip -o -4 addr show | awk \'{print "address=" $2 " " $4}\'; '
            f"{cas}; {secrets}\netcd={'yes' if etcd else 'no'}\n{static(SURVEY)}\ndate +clock=%s; exit 0"
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
            resolv_conf=b64decode(values.get("resolv", "")).decode(errors="replace"),
            systemd_resolv_conf="resolved" in values,
            keeps_time="time" in values,
            runtime_major=_major(values.get("runtime", "")),
            runtime_package=values.get("runtime-package", ""),
            clock_ahead=float(values.get("clock", now)) - now,
            etcd_name=values.get("etcd-name"),
            etcd_cluster=f"{int(values['etcd-cluster']):x}" if "etcd-cluster" in values else None,
            etcd_serves="etcd-serves" in values,
            interfaces=tuple(interfaces),
            cas=cas,
            secrets=frozenset(secrets),
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
systemctl list-units --type swap --all --no-legend --plain 2>/dev/null | while read -r unit load rest; do
    [ "$load" = masked ] || echo "swap-unit=$unit"; done
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
