"""Firewall rules of others that would drop what the machines need of each other (README's table of ports)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from ipaddress import IPv4Address
from typing import Literal

from kubeinfra.checks.base import Seen
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.base import Port
from kubeinfra.components.ports import ports
from kubeinfra.components.proxy_mode import is_ipvs
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
        interface = found.interface_of(machine.address)
        filters = _filters(found, "input")
        if not filters or interface is None:
            continue
        dropped: dict[str, list[str]] = defaultdict(list)
        for group in sorted(machine.groups & listening.keys()):
            for port in listening[group]:
                for source in sources(seen.cluster, machine, group, port):
                    packet = Packet(_protocol(port), port.number, source.address, machine.address, interface.name)
                    for text in _drops(filters, packet):
                        dropped[text].append(f"{port.protocol} {port.number} from {_group_of(port, source)}")
        for text, what in dropped.items():
            remedy = "let these in from the other machines (README, the table of ports)"
            yield _finding(machine, what, text, remedy)
        yield from _from_own_pods(seen.cluster, machine, found, filters)


def _from_own_pods(cluster: Cluster, machine: Machine, found: MachineState, filters: Chains) -> Iterator[Finding]:
    """
    Of a node: what its own pods send to the machine itself. With ipvs that is all that they send to Services, whose
    addresses are on kube-ipvs0: input comes before ipvs. Those of other nodes come with their node's address.
    """
    if "node" not in machine.groups:
        return
    settings = cluster.settings
    wanted = []
    if is_ipvs(cluster, machine, found):
        wanted.append(("to Services", "udp", 53, settings.dns_address))
    if "master" in machine.groups:
        wanted.append(
            (f"to its API server (tcp {settings.apiserver_port})", "tcp", settings.apiserver_port, machine.address)
        )
    pod = settings.cluster_cidr[2]
    dropped: dict[str, list[str]] = defaultdict(list)
    for what, protocol, port, target in wanted:
        for text in _drops(filters, Packet(protocol, port, pod, target, "cni0")):
            dropped[text].append(f"packets from its own pods {what}")
    for text, whats in dropped.items():
        yield _finding(machine, whats, text, f"let cluster_cidr {settings.cluster_cidr} in there")


def forward_rules(cluster: Cluster, machine: Machine, found: MachineState) -> Iterator[Finding]:
    """Of a node, which passes packets on to its pods and from them: those that nobody has a port for."""
    interface = found.interface_of(machine.address)
    filters = _filters(found, "forward")
    if "node" not in machine.groups or not filters or interface is None:
        return
    network = interface.name if cluster.settings.flannel_backend == "host-gw" else "flannel.1"
    pods = cluster.settings.cluster_cidr
    here, elsewhere, outside = pods[2], pods[-2], IPv4Address("192.0.2.1")  # the last: RFC 5737, nobody's
    dropped: dict[str, list[str]] = defaultdict(list)
    for what, source, target, come, go in (
        ("from its pods to other nodes", here, elsewhere, "cni0", network),
        ("from other nodes to its pods", elsewhere, here, network, "cni0"),
        ("from its pods to other networks", here, outside, "cni0", interface.name),
    ):
        for protocol in ("tcp", "udp"):
            for text in _drops(filters, Packet(protocol, 53, source, target, come, go)):
                dropped[text].append(what)
    for text, whats in dropped.items():
        first, *others = dict.fromkeys(whats)
        yield _finding(machine, [f"packets {first}", *others], text, f"let cluster_cidr {pods} pass there")


def _finding(machine: Machine, what: list[str], text: str, remedy: str) -> Finding:
    where = (
        "where that rule is kept: /etc/nftables.conf, /etc/iptables/rules.v4, /etc/sysconfig/iptables or the cloud's"
    )
    return Finding(
        "firewall-rules",
        machine.name,
        "error",
        f"its firewall drops {', '.join(dict.fromkeys(what))} ({text})",
        remedy=f"{remedy}, {where} image",
    )


def _drops(filters: Chains, packet: Packet) -> Iterator[str]:
    return (text for begin, chains in filters if (text := dropped_by(chains, begin, packet)))


def _filters(found: MachineState, hook: Literal["input", "forward"]) -> Chains:
    """
    Tables that may drop, each with the chain where a packet begins.

    FORWARD's policy in iptables does not count, a container runtime may set it: flannel lets pods' packets pass at the
    end of that chain (its FLANNEL-FWD), which only a rule before it prevents, or another table. The rules of a firewall
    that the deploy switches off go with it: of ufw its chains and the policies, of firewalld all of iptables.
    """
    survey = found.survey
    every: Chains = []
    if "firewalld" not in survey.firewalls:
        for lines in dict.fromkeys(survey.iptables.values()):  # iptables-save is one of the two others
            of_ufw = "ufw" in survey.firewalls
            chains = iptables.chains(line for line in lines if not (of_ufw and _OF_UFW.search(line)))
            if "FORWARD" in chains:
                chains["FORWARD"].policy = ""
            if of_ufw and "INPUT" in chains:
                chains["INPUT"].policy = ""
            every.append((hook.upper(), chains))
    for table in survey.nft:
        if '"firewalld"' not in table or "firewalld" not in survey.firewalls:
            every += list(nftables.base_chains(table, hook).items())
    return [(begin, chains) for begin, chains in every if may_drop(chains)]


_OF_UFW = re.compile(r"(^:|-A |-j )ufw6?-")


def _protocol(port: Port) -> str:
    return "vrrp" if port.protocol == "IP protocol" else port.protocol


def sources(cluster: Cluster, machine: Machine, group: str, port: Port) -> Iterator[Machine]:
    """Machines that must reach this port; of what only you reach nothing is known."""
    return (one for one in cluster.machines if must_reach(one, machine, group, port))


def must_reach(source: Machine, machine: Machine, group: str, port: Port) -> bool:
    """Whether one machine must reach this port, on which another listens as a member of this group."""
    groups = (group if word == "each other" else _role(word) for word in port.sources)
    return source != machine and any(one in source.groups for one in groups)


@cache
def _role(word: str) -> str:
    return next((group for name, group in _GROUPS.items() if word.startswith(name)), "")


def _group_of(port: Port, source: Machine) -> str:
    words = (word.partition(" (")[0] for word in port.sources)
    return next((word for word in words if _role(word) in source.groups), "each other")
