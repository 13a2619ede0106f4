"""
What a machine's packet filter does with a packet that comes in: the rules of iptables and of nftables, walked. Pure.

Only what is certain is told: a rule whose condition is not known here (a set, a rate, a mark) may match or not; if it
lets packets through, this one counts as let through, and if it drops, as not dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address


@dataclass(frozen=True)
class Packet:
    """
    The first one of a new connection.

    + protocol: "tcp", "udp" or a number; + port: its destination's; + out: the interface by which it leaves again, ""
      if it is for the machine itself
    """

    protocol: str
    port: int
    source: IPv4Address
    target: IPv4Address
    interface: str
    out: str = ""


Matches = Callable[[Packet], bool | None]
"""Whether a rule is about this packet; None if that cannot be told."""


@dataclass(frozen=True)
class Rule:
    """+ verdict: "accept", "drop", "return", the chain that it jumps to, or "" if it only counts or logs"""

    matches: Matches
    verdict: str
    text: str
    is_goto: bool = False


@dataclass
class Chain:
    """+ policy: what happens at its end, "" for one that others jump to; + text: how a message names that"""

    rules: list[Rule] = field(default_factory=list)
    policy: str = ""
    text: str = ""


def dropped_by(chains: Mapping[str, Chain], begin: str, packet: Packet) -> str | None:
    """The text of the rule, or of the policy, that drops the packet; None if it passes, or may."""
    verdict, text = _walk(chains, begin, packet, depth=0)
    return text if verdict == "drop" else None


def may_drop(chains: Mapping[str, Chain]) -> bool:
    """Whether there is any need to walk them."""
    return any(
        chain.policy == "drop" or any(rule.verdict == "drop" for rule in chain.rules) for chain in chains.values()
    )


def _walk(chains: Mapping[str, Chain], name: str, packet: Packet, depth: int) -> tuple[str, str]:
    chain = chains.get(name)
    if chain is None or depth > len(chains):
        return "accept", ""  # a chain that the answer does not have: it cannot be told
    for rule in chain.rules:
        matches = rule.matches(packet)
        if matches is False or not rule.verdict:
            continue
        if rule.verdict == "accept" or (rule.verdict == "drop" and matches):
            return rule.verdict, rule.text
        if rule.verdict in ("return", "drop"):
            if rule.verdict == "return" and matches:
                break
            continue
        found = _walk(chains, rule.verdict, packet, depth + 1)
        if found[0] == "accept" or (found[0] == "drop" and matches):
            return found
        if rule.is_goto and matches:
            break
    return chain.policy, chain.text


def every(conditions: Iterable[Matches]) -> Matches:
    """All of these together."""
    parts = list(conditions)

    def matches(packet: Packet) -> bool | None:
        found = [part(packet) for part in parts]
        return False if False in found else None if None in found else True

    return matches


def negated(condition: Matches) -> Matches:
    def matches(packet: Packet) -> bool | None:
        found = condition(packet)
        return None if found is None else not found

    return matches


def unknown(_: Packet) -> bool | None:
    return None
