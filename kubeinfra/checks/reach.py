"""Whether machines reach each other on the ports of README's table, where something of ours listens already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from kubeinfra.checks.base import Seen, new_groups
from kubeinfra.checks.firewall import must_reach
from kubeinfra.checks.listeners import holds_it
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.ports import ports
from kubeinfra.findings import Finding
from kubeinfra.machine.state import MachineState

MOST = 64
"""Ports of others that one machine tries: of hundreds of nodes the first ones will do."""


@dataclass(frozen=True)
class Needed:
    """A TCP port of another machine that one must reach. + group: the group of `of` that listens there"""

    of: Machine
    group: str
    port: int

    @property
    def target(self) -> str:
        """As the survey takes it, and answers."""
        return f"{self.of.address}:{self.port}"


def needed(cluster: Cluster, machine: Machine) -> list[Needed]:
    """What this machine must reach of others, at most MOST of them; udp does not say whether it has arrived."""
    listening = ports(cluster)
    every = (
        Needed(other, group, port.number)
        for other in cluster.machines
        if other != machine
        for group in sorted(other.groups & listening.keys())
        for port in listening[group]
        if port.protocol == "tcp" and must_reach(machine, other, group, port)
    )
    found: dict[str, Needed] = {}
    for one in every:  # whose end is far where there are many machines
        found[one.target] = one
        if len(found) == MOST:
            break
    return list(found.values())


def unreached(seen: Seen) -> Iterator[Finding]:
    """A machine that joins cannot be set up then; what runs already may be repaired by this run."""
    states = dict(seen.states)
    for machine, found in seen.machines:
        reached = found.survey.reached
        if reached is None:
            continue
        missed: dict[int, list[str]] = defaultdict(list)
        for one in needed(seen.cluster, machine):
            other = states.get(one.of.name)
            if other and one.target not in reached and _listens(other, one.of.address, one.port, one.group):
                missed[one.port].append(one.of.name)
        # Firewalls that the deploy switches off may be what is in between.
        off = any(states[name].survey.firewalls for names in missed.values() for name in names)
        for port, names in missed.items():
            yield Finding(
                "reachability",
                machine.name,
                "error" if new_groups(machine, found) and not off else "warning",
                f"it does not reach tcp {port} of {', '.join(names)}, where our component listens",
                remedy="let it pass (README, the table of ports): in the firewall between them, or of the cloud",
            )


def _listens(found: MachineState, address: IPv4Address, port: int, group: str) -> bool:
    """Something of ours, on an address that others can reach."""
    # "::" is what iproute 4.11 writes for "[::]".
    everywhere = ("*", "0.0.0.0", "[::]", "::", str(address), f"[::ffff:{address}]")
    return any(
        (one.protocol, one.port) == ("tcp", port) and one.address in everywhere and holds_it(found.survey, one, group)
        for one in found.survey.listeners
    )
