"""Whether a machine, as preflight found it, is fit for its groups in the inventory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from kubeinfra.checks.platform import platform_errors
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.node import resolv_confs
from kubeinfra.components.runtime import runtime
from kubeinfra.findings import EXPLAINED, Finding
from kubeinfra.machine.edits import has_resolver_for_pods
from kubeinfra.machine.state import MachineState
from kubeinfra.releases.catalogue import ARCHES

# CentOS 7's, the oldest whose options and sections everything that we send keeps to.
SYSTEMD = 219
CLOCKS_DIFFER = 240  # seconds; a certificate begins 300 s before it is made (kubeinfra/pki/ca.py)

Findings = Iterator[Finding]
_error = partial(Finding, level="error")


def machine_findings(cluster: Cluster, machine: Machine, found: MachineState) -> list[Finding]:
    """An error for each thing on this machine that cannot work."""
    return [
        *_user(machine, found),
        *_arch(machine, found),
        *_systemd(machine, found),
        *_family(machine, found),
        *platform_errors(cluster, machine, found),
        *_address(machine, found),
        *_clock(cluster, machine, found),
        *_runtime(cluster, machine, found),
        *_networks(cluster, machine, found),
        *_name_servers(cluster, machine, found),
    ]


def _user(machine: Machine, found: MachineState) -> Findings:
    if found.uid != 0:
        yield _error(
            check="root",
            machine=machine.name,
            found=f"commands run as user {found.uid}",
            wanted="root is needed",
            remedy="set _sudo = True in group_data/all.py, or connect with --ssh-user root",
        )


def _arch(machine: Machine, found: MachineState) -> Findings:
    if found.arch not in ARCHES:
        yield _error(
            check="architecture",
            machine=machine.name,
            found=f"architecture {found.arch} is not supported",
            wanted=" or ".join(ARCHES),
            joints=(": ", "; "),
        )


def _systemd(machine: Machine, found: MachineState) -> Findings:
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


def _family(machine: Machine, found: MachineState) -> Findings:
    if not found.family:
        yield _error(
            check="distribution",
            machine=machine.name,
            found="has neither apt-get nor dnf or yum",
            remedy="install from a Debian- or RHEL-like",
        )


def _address(machine: Machine, found: MachineState) -> Findings:
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


def _clock(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """If the deploy sets up chrony, chrony corrects the clock."""
    sets_it_up = cluster.settings.time_servers and not found.keeps_time and not found.container
    if abs(found.clock_ahead) > CLOCKS_DIFFER and not sets_it_up:
        how = "ahead of" if found.clock_ahead > 0 else "behind"
        yield _error(
            check="clock",
            machine=machine.name,
            found=f"its clock is {abs(found.clock_ahead):.0f} s {how} this controller's",
            wanted=f"certificates need clocks that agree within {CLOCKS_DIFFER} s",
            remedy="set the one that is wrong, and see why its time daemon has not",
            joints=EXPLAINED,
        )


def _runtime(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    if "node" in machine.groups:
        yield from runtime(cluster).findings(cluster, machine, found)


def _networks(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """The networks of Services and pods must not overlap the machine's own network."""
    own = next((one.network for one in found.addresses if one.ip == machine.address), None)
    networks = {"service_cidr": cluster.settings.service_cidr, "cluster_cidr": cluster.settings.cluster_cidr}
    for setting, network in networks.items():
        if own and own.overlaps(network):
            yield _error(
                check="networks",
                machine=machine.name,
                found=f"{setting} {network} overlaps its own network {own}",
                remedy="take one that shares no address with it",
            )


def _name_servers(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    uses_it = "/etc/resolv.conf" in cluster.settings.dns_upstreams and "node" in machine.groups
    if uses_it and not any(map(has_resolver_for_pods, resolv_confs(found).values())):
        without = "/etc/resolv.conf names no server that pods can reach"
        if not found.resolv_conf:
            without = "there is no /etc/resolv.conf, or nothing in it"
        resolved = ", and systemd-resolved has none either" if found.systemd_resolv_conf else ""
        yield _error(
            check="name servers",
            machine=machine.name,
            found=f"{without}{resolved}",
            wanted="and CoreDNS asks those of it",
            remedy='set dns_upstreams in group_data/all.py, such as ["192.168.80.1"], or to [] for no names outside '
            "the cluster",
        )
