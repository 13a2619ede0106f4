"""nftables' rules, as `nft -j list table` prints them, in the form that `filters` walks (libnftables-json(5))."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from kubeinfra.machine.filters import Chain, Matches, Packet, Rule, every, unknown

_ONLY_COUNT = ("counter", "log", "mangle", "notrack", "meter")
_NUMBERS = {"1": "icmp", "6": "tcp", "17": "udp", "112": "vrrp"}
# What a header is looked for in that a packet of another protocol does not have.
_HEADERS = {"tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "igmp", "ah", "esp", "comp", "ip6", "arp"}
_NO_VALUE = object()  # what is compared is not known here


def base_chains(text: str, hook: str = "input") -> dict[str, dict[str, Chain]]:
    """
    Name of each chain that sees what comes in -> all chains of its table, of one table's JSON.

    + hook: "input"; "forward" for those that see what is passed on

    The survey leaves out the tables that iptables lists itself.
    """
    try:
        entries = json.loads(text)["nftables"]
    except (ValueError, KeyError, TypeError):
        return {}
    chains: dict[str, Chain] = {}
    inputs = []
    for entry in entries:
        if chain := entry.get("chain"):
            policy = chain.get("policy", "accept") if "hook" in chain else ""
            where = f"{chain['family']} {chain['table']} {chain['name']}"
            chains[chain["name"]] = Chain(policy=policy, text=f"nft chain {where}: policy {policy}")
            if chain.get("hook") == hook:
                inputs.append(chain["name"])
    for entry in entries:
        if (rule := entry.get("rule")) and rule["chain"] in chains:
            where = f"{rule['family']} {rule['table']} {rule['chain']}"
            chains[rule["chain"]].rules += _rules(rule["expr"], f"nft rule {where} handle {rule.get('handle')}")
    return dict.fromkeys(inputs, chains)


def _rules(expressions: list[dict[str, Any]], text: str) -> list[Rule]:
    """A verdict map is one rule for each of its entries; else there is one."""
    conditions: list[Matches] = []
    for expression in expressions:
        ((kind, body),) = expression.items()
        if kind == "match":
            conditions.append(_match(body))
        elif kind == "vmap":
            return _mapped(body, conditions, text)
        elif kind in ("accept", "drop", "reject", "return", "jump", "goto", "continue"):
            return [_rule(kind, body, conditions, text)]
        elif kind not in _ONLY_COUNT:
            conditions.append(unknown)
    return [Rule(every(conditions), "", text)]


def _rule(kind: str, body: Any, conditions: list[Matches], text: str) -> Rule:
    verdict = {"reject": "drop", "continue": ""}.get(kind, kind)
    if kind in ("jump", "goto"):
        verdict = body["target"]
    return Rule(every(conditions), verdict, text, kind == "goto")


def _mapped(body: dict[str, Any], conditions: list[Matches], text: str) -> list[Rule]:
    data = body["data"]
    if not isinstance(data, dict) or "set" not in data:
        return [Rule(every([*conditions, unknown]), "accept", text)]  # a map with a name of its own
    found = []
    for key, verdict in data["set"]:
        ((kind, target),) = verdict.items()
        condition = _match({"op": "in", "left": body["key"], "right": key})
        found.append(_rule(kind, target, [*conditions, condition], text))
    return found


def _match(body: dict[str, Any]) -> Matches:
    if body["op"] not in ("==", "!=", "in"):
        return unknown

    is_negated = body["op"] == "!="

    def compare(value: Any) -> bool | None:
        found = _is_in(value, body["right"])
        return not found if is_negated and found is not None else found

    def matches(packet: Packet) -> bool | None:
        value = _value(body["left"], packet)
        if value is _NO_VALUE:
            return None
        if value is None:
            return False  # also of "!=": `tcp dport != 22` is about tcp only
        return compare(value)

    return matches


def _value(left: Any, packet: Packet) -> Any:
    """What the packet has there; None if it has no such field, as a udp packet has no tcp port."""
    if not isinstance(left, dict):
        return _NO_VALUE
    if payload := left.get("payload"):
        return _payload(payload.get("protocol"), payload.get("field"), packet)
    if meta := left.get("meta"):
        known = {
            "iifname": packet.interface,
            "iif": packet.interface,
            "oifname": packet.out,
            "oif": packet.out,
            "l4proto": packet.protocol,
        }
        return {**known, "nfproto": "ipv4", "protocol": "ip"}.get(meta.get("key"), _NO_VALUE)
    if ct := left.get("ct"):
        return "new" if ct.get("key") == "state" else _NO_VALUE
    return _NO_VALUE


def _payload(protocol: str | None, name: str | None, packet: Packet) -> Any:
    """Without a protocol it is a raw one, such as `@th,16,16`."""
    if protocol == "ip":
        known = {"saddr": packet.source, "daddr": packet.target, "protocol": packet.protocol}
        return known.get(name or "", _NO_VALUE)
    if protocol not in (packet.protocol, "th"):
        return None if protocol in _HEADERS else _NO_VALUE
    return packet.port if name == "dport" else _NO_VALUE


def _is_in(value: Any, right: Any) -> bool | None:
    if isinstance(right, list):
        return _any(value, right)
    if isinstance(right, dict):
        if "set" in right:
            return _any(value, right["set"])
        if "range" in right:
            first, last = right["range"]
            if isinstance(value, IPv4Address):
                return IPv4Address(first) <= value <= IPv4Address(last)
            return isinstance(value, int) and first <= value <= last
        if "prefix" in right and isinstance(value, IPv4Address | None):
            network = IPv4Network((right["prefix"]["addr"], right["prefix"]["len"]), strict=False)
            return value is not None and value in network
        return None
    if isinstance(right, str) and right.startswith("@"):
        return None  # a set with a name: its elements are not looked at
    if isinstance(right, str) and right.endswith("*"):
        return str(value).startswith(right[:-1])
    return _NUMBERS.get(str(right), str(right)) == str(value)


def _any(value: Any, parts: list[Any]) -> bool | None:
    found = [_is_in(value, part) for part in parts]
    return True if True in found else None if None in found else False
