"""This run: which file was named on the command line, which machine this is, who takes part."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pyinfra import host, state

from kubeinfra.cluster.cluster import Machine
from kubeinfra.run.inventory import cluster


def is_deploy_file(file: str) -> bool:
    """Whether this is the file that was named on the command line: then it runs its own component."""
    current = state.current_deploy_filename
    return current is not None and Path(file).resolve() == Path(current).resolve()


def this_machine() -> Machine:
    return cluster().machine(host.name)


def is_in_this_run(machine: Machine) -> bool:
    """Whether the command line (--limit) lets this machine take part."""
    return state.inventory.get_host(machine.name) in state.activated_hosts


def awaited_nodes() -> tuple[Machine, ...]:
    """Nodes for which a gate on masters waits: those of this run; all of them if it has none (--limit master)."""
    return tuple(filter(is_in_this_run, cluster().nodes)) or cluster().nodes


def is_lead_host() -> bool:
    """Whether the controller's own steps are done in this host's name: the first machine of this run."""
    return _is_first(cluster().machines)


def is_kubectl_host() -> bool:
    """Whether kubectl's part of a task is done on this host: the first master of this run."""
    return _is_first(cluster().masters)


def _is_first(machines: Iterable[Machine]) -> bool:
    return this_machine() == next(filter(is_in_this_run, machines), None)
