"""What machines answer to preflight, in the lines of files/preflight/survey.sh, and what is told of it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface
from typing import Any

from cluster_samples import SEEN, cluster

from kubeinfra.checks.base import Seen
from kubeinfra.checks.catalogue import findings
from kubeinfra.machine.state import InterfaceAddress, MachineState
from kubeinfra.machine.survey import survey

HOME = {"m1": "192.168.80.10/24", "n1": "192.168.80.11/24", "n2": "192.168.80.12/24"}
SOUND = (
    "kernel 5.10.0-30-amd64",
    "cpus 4",
    "memory 8000000",
    "route default via 192.168.80.1 dev eth0",
    "route 192.168.80.0/24 dev eth0 proto kernel scope link",
    "nameserver 192.168.80.1",
)


@dataclass(frozen=True)
class State:
    """
    + says: machine -> lines of its survey; + has: machine -> further interfaces, "name address"
    + told: "machine: beginning of the sentence" of every finding, in order; + level: of all of them
    """

    says: Mapping[str, Sequence[str]]
    told: Sequence[str]
    level: str = "error"
    has: Mapping[str, Sequence[str]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seen: Mapping[str, Any] = field(default_factory=dict)


def machine(name: str, lines: Sequence[str], interfaces: Sequence[str], **seen: Any) -> MachineState:
    mac = f"link eth0 1500 52:54:00:00:00:{HOME[name][11:13]}"
    own = [f"eth0 {HOME[name]}", *interfaces]
    state = replace(SEEN, keeps_time=True, interfaces=tuple(map(address, own)), **seen)
    usual = [line for line in (*SOUND, mac) if not {key(line)} & {key(said) for said in lines}]
    said = [line for line in (*usual, *lines) if not line.startswith("!")]
    return replace(state, survey=survey(f"survey {line}" for line in said))


def key(line: str) -> str:
    """What a line is about: a machine has one kernel, but several routes; "!" takes a usual one away."""
    words = line.removeprefix("!").split(" ")
    return " ".join(words[:2]) if words[0] in ("link", "route") else words[0]


def address(text: str) -> InterfaceAddress:
    name, _, value = text.partition(" ")
    return InterfaceAddress(name, IPv4Interface(value))


def told(state: State, every: Mapping[str, MachineState]) -> list[tuple[str, str]]:
    return [(one.sentence(), one.level) for one in findings(Seen(cluster(**state.settings), every))]


def nft(*rules: Any, policy: str = "drop", **chain: Any) -> str:
    begin = {"family": "inet", "table": "mine", "name": "in", "type": "filter", "hook": "input", "policy": policy}
    entries: list[Any] = [{"chain": begin | chain}]
    entries += [{"rule": {**begin, "chain": "in", "handle": 7 + at, "expr": rule}} for at, rule in enumerate(rules)]
    return f"nft {b64encode(json.dumps({'nftables': entries}).encode()).decode()}"


def dport(*numbers: int, protocol: str = "tcp") -> dict[str, Any]:
    left = {"payload": {"protocol": protocol, "field": "dport"}}
    return {"match": {"op": "==", "left": left, "right": {"set": list(numbers)}}}


EL_REJECT = (
    "iptables-save :INPUT ACCEPT [0:0]",
    "iptables-save -A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT",
    "iptables-save -A INPUT -p icmp -j ACCEPT",
    "iptables-save -A INPUT -i lo -j ACCEPT",
    "iptables-save -A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT",
    "iptables-save -A INPUT -j REJECT --reject-with icmp-host-prohibited",
)
LAN = "iptables-save -A INPUT -s 192.168.80.0/24 -j ACCEPT"
NEEDED_BY_A_NODE = (
    "tcp 2379 from masters, tcp 2379 from etcd members, tcp 2380 from etcd members, tcp 10250 from masters, "
    "udp 8472 from nodes"
)
ACCEPT = {"accept": None}
ETH0 = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "eth0"}}
CNI0 = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "cni0"}}
ESTABLISHED = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}
BLACKHOLE = "route blackhole default"
HTTP_PROXY = "proxy 10.0.0.7:3128"
DATA = "/var/lib/etcd/default.etcd"
# The first bytes of a write-ahead log of etcd 3.4's, as head -c 64 reads them.
WAL = b64encode(
    bytes.fromhex(
        "0400000000000084080410000000000020000000000000000801"
        "10bb81c7fc051a1608cdd2918bd2b881cf8e0110b298eaf1948386fccd01"
    )
).decode()


def machines(state: State) -> dict[str, MachineState]:
    return {one: machine(one, state.says.get(one, ()), state.has.get(one, ()), **state.seen) for one in HOME}


def assert_told(state: State) -> None:
    """Preflight tells exactly these findings of it, in their order, each beginning so, and all at its level."""
    found = told(state, machines(state))
    assert [sentence[: len(begin)] for (sentence, _), begin in zip(found, state.told, strict=False)] == list(state.told)
    assert len(found) == len(state.told), found
    assert {level for _, level in found} == {state.level}
