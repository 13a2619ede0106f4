"""Whether the ports that our components need are free, or held by our own components."""

from __future__ import annotations

from collections.abc import Iterator

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.ports import ports
from kubeinfra.findings import EXPLAINED, Finding
from kubeinfra.machine.state import MachineState
from kubeinfra.machine.survey import Listener, Process, Survey
from kubeinfra.paths import ETCD_BIN, KUBERNETES_BIN

# Processes that are ours under whatever path, and the group whose ports they hold: flannel and metrics-server are
# in containers, the others are the distribution's.
_OURS = {"flanneld": "node", "metrics-server": "node", "nginx": "lb", "haproxy": "lb", "keepalived": "lb"}


def free_ports(cluster: Cluster, machine: Machine, found: MachineState) -> Iterator[Finding]:
    """A port of ours that is taken by somebody else, named with the process."""
    needed = {
        (port.protocol, port.number): (port.listener, group)
        for group, listening in ports(cluster).items()
        if group in machine.groups
        for port in listening
    }
    told: set[tuple[str, int]] = set()
    for one in found.survey.listeners:
        key = (one.protocol, one.port)
        if key not in needed or key in told:
            continue
        listener, group = needed[key]
        if holds_it(found.survey, one, group):
            continue
        told.add(key)
        holders = [found.survey.process[pid] for pid in one.pids if pid in found.survey.process]
        yield Finding(
            "free-ports",
            machine.name,
            "error",
            f"{one.protocol} {one.port}, which {listener} needs, is taken by {_holder(holders)}",
            remedy=_remedy(holders),
            joints=EXPLAINED,
        )


def is_ours(survey: Survey, process: Process) -> bool:
    """Whether it runs one of our binaries, wherever /opt is; one that has been replaced since is "... (deleted)"."""
    places = {ETCD_BIN, KUBERNETES_BIN, *survey.binaries}
    return process.exe.startswith(tuple(f"{place}/" for place in places))


def holds_it(survey: Survey, one: Listener, group: str) -> bool:
    """Whether it is a component of ours that listens there. + group: the group whose port it is"""
    if not one.pids:  # the kernel itself: a tunnel
        return one.protocol == "udp" and survey.link("flannel.1") is not None
    processes = [survey.process[pid] for pid in one.pids if pid in survey.process]
    return any(is_ours(survey, process) or _OURS.get(process.name) == group for process in processes)


def _holder(holders: list[Process]) -> str:
    if not holders:
        return "the kernel, or a process that cannot be seen from here"
    one = holders[0]
    unit = f", {one.unit}" if one.unit else ""
    return f"{one.name} (process {one.pid}, {one.exe or 'a path that is not known'}{unit})"


def _remedy(holders: list[Process]) -> str:
    if not holders:
        return "remove the tunnel (`ip -d link` lists them) or the program that uses this port"
    unit = holders[0].unit
    return (
        f"systemctl disable {unit}; systemctl stop {unit}, or give it another port"
        if unit
        else "stop it, or give it another port"
    )
