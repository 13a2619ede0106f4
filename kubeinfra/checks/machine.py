"""Whether a machine, as preflight found it, is fit for its groups in the inventory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import median

from kubeinfra.checks.base import Seen
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.node import resolv_confs
from kubeinfra.components.platforms import find
from kubeinfra.components.runtime import runtime
from kubeinfra.findings import EXPLAINED, Finding
from kubeinfra.machine.edits import has_resolver_for_pods
from kubeinfra.machine.state import MachineState
from kubeinfra.paths import UNITS
from kubeinfra.releases.catalogue import ARCHES

# CentOS 7's, the oldest whose options and sections everything that we send keeps to.
SYSTEMD = 219
CLOCKS_DIFFER = 240  # seconds; a certificate begins 300 s before it is made (kubeinfra/pki/ca.py)
SKEWED = 5  # seconds; they are asked one after the other, and answer in whole seconds

Findings = Iterator[Finding]
_error = partial(Finding, level="error")


def root(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    if found.uid != 0:
        yield _error(
            check="root",
            machine=machine.name,
            found=f"commands run as user {found.uid}",
            wanted="root is needed",
            remedy="set _sudo = True in group_data/all.py, or connect with --ssh-user root",
        )


def architecture(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    if found.arch not in ARCHES:
        yield _error(
            check="architecture",
            machine=machine.name,
            found=f"architecture {found.arch} is not supported",
            wanted=" or ".join(ARCHES),
            joints=(": ", "; "),
        )


def systemd(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    if found.systemd is None:
        yield _error(
            check="systemd",
            machine=machine.name,
            found="systemd is not PID 1",
            wanted="every component is a systemd unit",
            remedy="take a machine that has it",
            joints=EXPLAINED,
        )
    elif found.systemd < SYSTEMD:
        yield _error(
            check="systemd",
            machine=machine.name,
            found=f"systemd {found.systemd} is too old",
            wanted=f"{SYSTEMD} or newer is needed",
            remedy="take a distribution of docs/platforms.md",
            joints=(", ", ": "),
        )


def address(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """The public address of a cloud machine is often not on its interfaces: no process could listen on it."""
    has = [one.ip for one in found.addresses if not one.ip.is_loopback]
    if has and machine.address not in has:
        yield _error(
            check="address",
            machine=machine.name,
            found=f"no interface has its address {machine.address}",
            wanted=f"it has {', '.join(map(str, has))}",
            remedy="say in the inventory which of them the other machines reach, such as "
            f'{{"ssh_hostname": "{machine.address}", "address": "{has[0]}"}}',
            joints=EXPLAINED,
        )


def clock(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """If the deploy sets up chrony, chrony corrects the clock; then it is asked again."""
    ahead = found.clock_ahead
    if abs(ahead) <= CLOCKS_DIFFER:
        return
    how = f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this controller's"
    if sets_clock(cluster, found):
        servers = ", ".join(cluster.settings.time_servers)
        yield Finding(
            "clock",
            machine.name,
            "warning",
            how,
            f"chrony will be set up with {servers}, and the run ends if it does not correct the clock",
            joints=EXPLAINED,
        )
        return
    yield _error(
        check="clock",
        machine=machine.name,
        found=how,
        wanted=f"certificates need clocks that agree within {CLOCKS_DIFFER} s",
        remedy="set the one that is wrong, and see why its time daemon has not",
        joints=EXPLAINED,
    )


def time_daemon(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """Debian's time daemons exclude each other, and the deploy removes no package: it may be off for a reason."""
    platform = find(found, cluster.settings_of(machine))
    installed = [name for name, _ in found.software.packages if platform and name in platform.chrony_conflicts]
    if installed and sets_clock(cluster, found):
        yield _error(
            check="time-daemon",
            machine=machine.name,
            found=f"{', '.join(installed)} is installed and does not run",
            wanted="and chrony, which the deploy would set up, cannot come while it is there",
            remedy=f"start it (systemctl enable --now {installed[0]}), or remove it (apt-get remove {installed[0]}), "
            "or set time_servers to []",
            joints=EXPLAINED,
        )


def clock_skew(seen: Seen) -> Findings:
    """Of the machines among each other; what `clock` tells is not told again. etcd warns from one second on."""
    own = {machine.name: found.clock_ahead for machine, found in seen.machines}
    usual = median(own.values()) if own else 0
    for name, ahead in own.items():
        off = ahead - usual
        is_told = abs(ahead) > CLOCKS_DIFFER or sets_clock(seen.cluster, seen.states[name])
        if abs(off) > SKEWED and not is_told:
            yield Finding(
                "clock-skew",
                name,
                "warning",
                f"its clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} that of the other machines",
                f"leases and logs need clocks that agree within {SKEWED} s",
                "see why its time daemon does not correct it (timedatectl, chronyc sources)",
                joints=EXPLAINED,
            )


def sets_clock(cluster: Cluster, found: MachineState) -> bool:
    """Whether the deploy sets up chrony there."""
    return bool(cluster.settings.time_servers) and not found.keeps_time and not found.container


def container_runtime(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    if "node" in machine.groups:
        yield from _kept(cluster, machine, found)
        yield from runtime(cluster).findings(cluster, machine, found)
        if platform := find(found, cluster.settings_of(machine)):
            yield from runtime(cluster).packages_findings(cluster, machine, found, platform)


def _kept(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """A node's pods stay where they run: the other runtime would start each of them a second time."""
    has, wanted = found.kubelet_runtime, runtime(cluster).name
    if has not in ("", wanted):
        yield _error(
            check="container runtime",
            machine=machine.name,
            found=f"its kubelet runs its pods with {has}",
            wanted=f"and this cluster's container_runtime is {wanted}",
            remedy=f'set container_runtime = "{has}"; or, one node at a time with --limit: drain it, stop kubelet, '
            f"remove {has} with its containers and {UNITS}/kubelet.service, and run again",
            joints=EXPLAINED,
        )


def name_servers(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    uses_it = "/etc/resolv.conf" in cluster.settings.dns_upstreams and "node" in machine.groups
    if uses_it and not any(map(has_resolver_for_pods, resolv_confs(found).values())):
        without = "/etc/resolv.conf names no server that pods can reach"
        if not found.resolv_conf:
            without = "there is no /etc/resolv.conf, or nothing in it"
        resolved = ", and systemd-resolved has none either" if found.systemd_resolv_conf else ""
        yield _error(
            check="name-servers",
            machine=machine.name,
            found=f"{without}{resolved}",
            wanted="and CoreDNS asks those of it",
            remedy='set dns_upstreams in group_data/all.py, such as ["192.168.80.1"], or to [] for no names outside '
            "the cluster",
        )


# What a survey says that it could not ask -> what that is, and what asks it.
_ASKED_WITH = {
    "reach": ("whether it reaches the others", "install bash and coreutils, which have bash and timeout"),
    "ports": ("which ports are taken", "install iproute2 (iproute on RHEL), which has ss"),
    "routes": ("its routes", "install iproute2 (iproute on RHEL), which has ip"),
    "nft-tables": ("rules of nftables", "see what `nft list chains` says"),
    "nft-table": ("rules of nftables", "look yourself: nft list table"),
}


def not_asked(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """What other checks are silent about because nothing on the machine could tell it."""
    for one in found.survey.unasked:
        key, _, table = one.partition(" ")
        what, remedy = _ASKED_WITH[key]
        yield Finding(
            "not-asked",
            machine.name,
            "note",
            f"it could not be asked for {what}{f' ({table})' if table else ''}",
            "these are not checked",
            f"{remedy} {table}".strip(),
            joints=EXPLAINED,
        )
