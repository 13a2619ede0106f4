"""What a check of preflight is: a name, and a pure function from what was seen of all machines to findings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.controller.identity import Identity
from kubeinfra.findings import Finding, Level
from kubeinfra.machine.state import MachineState
from kubeinfra.pki.ca import CA
from kubeinfra.pki.secrets import SecretName
from kubeinfra.pki.spec import CAName


@dataclass(frozen=True)
class Kept:
    """
    What the controller has of this cluster.

    + identity: what `identity_path` says, None without one; + secrets: names of those that are there
    """

    directory: Path
    identity_path: Path
    identity: Identity | None
    cas: Mapping[CAName, CA | None]
    secrets: Collection[SecretName]


@dataclass(frozen=True)
class Seen:
    """
    All that checks decide from.

    + states: machine name -> what was seen of it; without machines that take no part in this run
    + kept: None where the controller's directory is not looked at
    + today: the controller's date; None where it does not matter
    """

    cluster: Cluster
    states: Mapping[str, MachineState]
    kept: Kept | None = None
    today: date | None = None

    @property
    def machines(self) -> Iterator[tuple[Machine, MachineState]]:
        """In the order of the inventory."""
        return ((one, self.states[one.name]) for one in self.cluster.machines if one.name in self.states)


@dataclass(frozen=True)
class Check:
    """
    One line of preflight's list.

    + name: in kebab-case, as `preflight_ignore` takes it; + what: what it tells, for docs/preflight.md
    + levels: those that its findings may have; errors cannot be ignored
    """

    name: str
    what: str
    find: Callable[[Seen], Iterable[Finding]]
    levels: tuple[Level, ...] = ("error",)


def each(find: Callable[[Cluster, Machine, MachineState], Iterable[Finding]]) -> Callable[[Seen], Iterator[Finding]]:
    """A check that looks at one machine at a time."""

    def of_all(seen: Seen) -> Iterator[Finding]:
        for machine, found in seen.machines:
            yield from find(seen.cluster, machine, found)

    return of_all


def is_set_up(found: MachineState) -> bool:
    """Whether the machine is part of a Kubernetes cluster that this project has set up: what is there is its own."""
    return "kubernetes" in found.cas


_CA_OF: dict[str, CAName] = {"etcd": "etcd", "master": "kubernetes", "node": "kubernetes"}


def new_groups(machine: Machine, found: MachineState) -> set[str]:
    """
    Groups of the machine that this project has not set it up for yet, as the CAs that it trusts tell.

    Never "lb": a load balancer has no CA.
    """
    return {group for group, ca in _CA_OF.items() if group in machine.groups and ca not in found.cas}


def is_running(seen: Seen) -> bool:
    """Whether this cluster is there already, although perhaps not on the machines that were asked."""
    identity = seen.kept.identity if seen.kept else None
    recorded = identity is not None and identity.etcd_cluster_id is not None
    return recorded or any(is_set_up(found) for _, found in seen.machines)
