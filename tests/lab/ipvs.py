"""What kube-proxy has told the kernel's load balancer (IPVS), and what the API says that it should have told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from typing import Any, NamedTuple

Socket = tuple[str, str, int]
"""Protocol, address, port."""


class Server(NamedTuple):
    scheduler: str
    destinations: frozenset[tuple[str, int]]


def servers(table: str) -> dict[Socket, Server]:
    """The virtual servers of /proc/net/ip_vs, whose numbers are hexadecimal."""
    found: dict[Socket, Server] = {}
    at: Socket = ("", "", 0)
    for words in (line.split() for line in table.splitlines()):
        if words[:1] in (["TCP"], ["UDP"], ["SCTP"]):
            at = (words[0], *_socket(words[1]))
            found[at] = Server(words[2], frozenset())
        elif words[:1] == ["->"] and at in found:
            found[at] = Server(found[at].scheduler, found[at].destinations | {_socket(words[1])})
    return found


def services(items: list[Mapping[str, Any]]) -> dict[Socket, frozenset[tuple[str, int]]]:
    """
    Each port of a Service's cluster address -> its ready endpoints.

    + items: Services and Endpoints, as the API has them
    """
    ready = {_name(one): dict(_ready(one)) for one in items if one["kind"] == "Endpoints"}
    return {
        (port.get("protocol", "TCP"), one["spec"]["clusterIP"], port["port"]): frozenset(
            ready.get(_name(one), {}).get(port.get("name", ""), ())
        )
        for one in items
        if one["kind"] == "Service" and one["spec"].get("clusterIP") not in (None, "None")
        for port in one["spec"]["ports"]
    }


def _ready(endpoints: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    for subset in endpoints.get("subsets") or ():
        for port in subset.get("ports", ()):
            addresses = [one["ip"] for one in subset.get("addresses", ())]
            yield port.get("name", ""), [(address, port["port"]) for address in addresses]


def _name(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def _socket(text: str) -> tuple[str, int]:
    address, _, port = text.partition(":")
    return str(IPv4Address(int(address, 16))), int(port, 16)
