"""What this run has seen of the machines: each is asked once, by preflight, and described from that."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

from pyinfra import state
from pyinfra.api import Host

from kubeinfra.cluster.cluster import Machine
from kubeinfra.components.base import Here
from kubeinfra.facts.machine import MachineFacts
from kubeinfra.machine.state import MachineState
from kubeinfra.run.context import run
from kubeinfra.run.controller import secrets
from kubeinfra.run.hosts import this_machine
from kubeinfra.run.inventory import cluster

_one_asks = Lock()  # else all hosts would ask the same one at once, more than its sshd lets into one connection


def seen(machine: Machine) -> MachineState:
    """State of this machine in preflight; a KeyError, if it was not read, is an error in the code."""
    return run().machines[machine.name]


def look_at(hosts: Iterable[Host]) -> None:
    """Read those of these hosts that have not been read yet; a host that does not answer is left out."""
    with _one_asks:
        for host in hosts:
            if host.name not in run().machines and (found := host.get_fact(MachineFacts)):
                run().machines[host.name] = found


def here() -> Here:
    """This host, as components describe it: read again for each operation, as a run creates CAs and secrets."""
    machine = this_machine()
    if "etcd" in machine.groups and seen(machine).etcd_name is None:  # a new member: which names are free?
        look_at(state.inventory.get_host(one.name) for one in cluster().etcd_machines)
    return Here(cluster(), machine, seen(machine), secrets(), dict(run().machines))


def arch_of(machine: Machine) -> str:
    """Its architecture; this host's if nobody has looked at it, as it takes no part in this run."""
    return run().machines.get(machine.name, seen(this_machine())).arch
