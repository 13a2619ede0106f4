"""iptables' rules, as `iptables-save` prints them, in the form that `filters` walks."""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Iterable
from ipaddress import IPv4Network

from kubeinfra.machine.filters import Chain, Matches, Rule, every, negated, unknown

_VERDICTS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}
_ONLY_COUNT = ("LOG", "NFLOG", "MARK", "CONNMARK", "AUDIT", "SET", "TRACE", "ULOG")
_NUMBERS = {"1": "icmp", "6": "tcp", "17": "udp", "112": "vrrp"}
_SILENT = {"-m": 1, "--match": 1, "--comment": 1, "--reject-with": 1, "--log-prefix": 1, "--log-level": 1}

_PROTOCOL, _INTERFACE = ("-p", "--protocol"), ("-i", "--in-interface")
_OUT = ("-o", "--out-interface")
_SOURCE, _TARGET = ("-s", "--source"), ("-d", "--destination")
_PORTS = ("--dport", "--dports", "--destination-ports", "--destination-port")
_STATE = ("--ctstate", "--state")
_KNOWN = (*_PROTOCOL, *_INTERFACE, *_OUT, *_SOURCE, *_TARGET, *_PORTS, *_STATE)


def chains(lines: Iterable[str]) -> dict[str, Chain]:
    """Lines of table filter: ":INPUT DROP [0:0]" and "-A INPUT ..."."""
    found: dict[str, Chain] = {}
    for line in lines:
        if line.startswith(":"):
            name, policy = line[1:].split(" ")[:2]
            found[name] = Chain(policy=_VERDICTS.get(policy, ""), text=f"iptables -P {name} {policy}")
        elif line.startswith("-A "):
            words = shlex.split(line)
            found.setdefault(words[1], Chain()).rules.append(_rule(words[2:], f"iptables {line}"))
    return found


def _rule(words: list[str], text: str) -> Rule:
    conditions: list[Matches] = []
    verdict, is_goto, rest = "", False, deque(words)
    is_negated = False
    while rest:
        word = rest.popleft()
        if word == "!":
            is_negated = True
            continue
        if word in ("-j", "-g"):
            target = _next(rest)
            verdict = "" if target in _ONLY_COUNT else _VERDICTS.get(target, target)
            is_goto = word == "-g"
        elif word in _SILENT:
            _next(rest)
        else:
            condition = _condition(word, rest)
            conditions.append(negated(condition) if is_negated else condition)
        is_negated = False
    return Rule(every(conditions), verdict, text, is_goto)


def _next(rest: deque[str]) -> str:
    return rest.popleft() if rest else ""


def _condition(option: str, rest: deque[str]) -> Matches:
    """Of an option and its value, which is taken from `rest`."""
    if option == "--syn":
        return lambda packet: packet.protocol == "tcp"
    if option in _KNOWN:
        try:
            return _known(option, _next(rest))
        except ValueError:
            return unknown  # written in another way, such as mask 255.0.255.0
    if option.startswith("-") and rest and not rest[0].startswith("-") and rest[0] != "!":
        rest.popleft()  # its value; --physdev-is-bridged and others have none
    return unknown


def _known(option: str, value: str) -> Matches:
    if option in _PROTOCOL:
        protocol = _NUMBERS.get(value, value)
        return lambda packet: protocol in ("all", "0") or packet.protocol == protocol
    if option in _SOURCE:
        networks = _networks(value)
        return lambda packet: any(packet.source in network for network in networks)
    if option in _TARGET:
        networks = _networks(value)
        return lambda packet: any(packet.target in network for network in networks)
    if option in _INTERFACE:
        return lambda packet: _is_interface(value, packet.interface)
    if option in _OUT:
        return lambda packet: _is_interface(value, packet.out)
    if option in _PORTS:
        ranges = [_range(part) for part in value.split(",")]
        return lambda packet: any(first <= packet.port <= last for first, last in ranges)
    return lambda packet: "NEW" in value.split(",")


def _networks(value: str) -> list[IPv4Network]:
    return [IPv4Network(part, strict=False) for part in value.split(",")]


def _is_interface(value: str, name: str) -> bool:
    return name.startswith(value[:-1]) if value.endswith("+") else name == value


def _range(text: str) -> tuple[int, int]:
    first, colon, last = text.partition(":")
    return int(first or 0), int(last or 65535) if colon else int(first)
