"""Firewall rules of others that would drop what the machines need of each other (README's table of ports)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from kubeinfra.checks.base import Seen
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.base import Port
from kubeinfra.components.ports import ports
from kubeinfra.findings import Finding
from kubeinfra.machine import iptables, nftables
from kubeinfra.machine.filters import Chain, Packet, dropped_by, may_drop
from kubeinfra.machine.state import MachineState

_GROUPS = {"masters": "master", "etcd members": "etcd", "load balancers": "lb", "nodes": "node"}
Chains = list[tuple[str, Mapping[str, Chain]]]


def firewall_rules(seen: Seen) -> Iterator[Finding]:
    """The deploy switches firewalld and ufw off, and with them their rules; the rules of others stay."""
    listening = ports(seen.cluster)
    for machine, found in seen.machines:
        filters = _filters(found)
        interface = found.interface_of(machine.address)
        if not filters or interface is None:
            continue
        dropped: dict[str, list[str]] = defaultdict(list)
        for group in sorted(machine.groups & listening.keys()):
            for port in listening[group]:
                for source in _sources(seen.cluster, machine, group, port):
                    packet = Packet(_protocol(port), port.number, source.address, machine.address, interface.name)
                    for begin, chains in filters:
                        if text := dropped_by(chains, begin, packet):
                            dropped[text].append(f"{port.protocol} {port.number} from {_group_of(port, source)}")
        for text, what in dropped.items():
            yield Finding(
                "firewall-rules",
                machine.name,
                "error",
                f"its firewall drops {', '.join(dict.fromkeys(what))} ({text})",
                remedy="let these in from the other machines (README, the table of ports), where that rule is kept: "
                "/etc/nftables.conf, /etc/iptables/rules.v4, /etc/sysconfig/iptables or the cloud's image",
            )


def _filters(found: MachineState) -> Chains:
    survey = found.survey
    every: Chains = []
    if not survey.firewalls:
        texts: set[tuple[str, ...]] = set()
        for lines in survey.iptables.values():
            if lines not in texts:  # iptables-save is one of the two others
                texts.add(lines)
                every.append(("INPUT", iptables.chains(lines)))
    for table in survey.nft:
        if '"firewalld"' not in table or "firewalld" not in survey.firewalls:
            every += list(nftables.base_chains(table).items())
    return [(begin, chains) for begin, chains in every if may_drop(chains)]


def _protocol(port: Port) -> str:
    return "vrrp" if port.protocol == "IP protocol" else port.protocol


def _sources(cluster: Cluster, machine: Machine, group: str, port: Port) -> Iterator[Machine]:
    """Machines that must reach this port; of what only you reach nothing is known."""
    groups = {group if word == "each other" else _role(word) for word in port.sources}
    return (one for one in cluster.machines if one != machine and one.groups & groups)


def _role(word: str) -> str:
    return next((group for name, group in _GROUPS.items() if word.startswith(name)), "")


def _group_of(port: Port, source: Machine) -> str:
    words = (word.partition(" (")[0] for word in port.sources)
    return next((word for word in words if _role(word) in source.groups), "each other")
