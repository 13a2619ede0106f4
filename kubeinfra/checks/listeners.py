"""Whether the ports that our components need are free, or held by our own components."""

from __future__ import annotations

from collections.abc import Iterator

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.ports import ports
from kubeinfra.findings import EXPLAINED, Finding
from kubeinfra.machine.state import MachineState
from kubeinfra.machine.survey import Listener, Process, Survey
from kubeinfra.paths import ETCD_BIN, KUBERNETES_BIN

# Processes that are ours under whatever path: flannel is in a container, the others are the distribution's.
_OURS = ("flanneld", "nginx", "keepalived")


def free_ports(cluster: Cluster, machine: Machine, found: MachineState) -> Iterator[Finding]:
    """A port of ours that is taken by somebody else, named with the process."""
    needed = {
        (port.protocol, port.number): port.listener
        for group, listening in ports(cluster).items()
        if group in machine.groups
        for port in listening
    }
    told = set()
    for one in found.survey.listeners:
        listener = needed.get((one.protocol, one.port))
        if listener is None or (one.protocol, one.port) in told or _is_ours(found.survey, one):
            continue
        told.add((one.protocol, one.port))
        holders = [found.survey.process[pid] for pid in one.pids if pid in found.survey.process]
        yield Finding(
            "free-ports",
            machine.name,
            "error",
            f"{one.protocol} {one.port}, which {listener} needs, is taken by {_holder(holders)}",
            remedy=_remedy(holders),
            joints=EXPLAINED,
        )


def is_ours(process: Process) -> bool:
    """Whether it runs one of our binaries; one that has been replaced since is "... (deleted)"."""
    return process.exe.startswith((f"{ETCD_BIN}/", f"{KUBERNETES_BIN}/"))


def _is_ours(survey: Survey, one: Listener) -> bool:
    if not one.pids:  # the kernel itself: a tunnel
        return one.protocol == "udp" and survey.link("flannel.1") is not None
    processes = [survey.process[pid] for pid in one.pids if pid in survey.process]
    return any(is_ours(process) or process.name in _OURS for process in processes)


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
