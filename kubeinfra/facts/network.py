"""Addresses of a machine, and which other machine answers for a virtual address."""

from __future__ import annotations

from ipaddress import IPv4Interface
from shlex import join, quote

from pyinfra.api import FactBase

from kubeinfra.machine.state import VirtualAddressState


class VirtualAddress(FactBase[VirtualAddressState]):
    """
    State of a virtual address, seen from this machine. One command, at most two seconds.

    + address: the virtual address; + peers: addresses of the other load balancers
    """

    def command(self, address: str, peers: list[str]) -> str:
        everybody = join([address, *peers])
        return (
            "command -v ping >/dev/null || echo unasked=yes; "
            'ip -o -4 addr show | awk \'{print "address=" $2 " " $4}\'; '
            # It need not answer the ping: the kernel resolves its link-layer address first.
            f"for one in {everybody}; do ping -c 1 -W 1 $one >/dev/null 2>&1 & done; wait; "
            f"ip neigh show {quote(address)} | awk '/lladdr/ {{for (i = 1; i < NF; i++) "
            'if ($i == "lladdr") print "answers=" $(i + 1)}\'; '
            f"for peer in {join(peers)}; do ip neigh show $peer | awk '/lladdr/ {{for (i = 1; i < NF; i++) "
            'if ($i == "lladdr") print "peer=" $(i + 1)}\'; done; exit 0'
        )

    def process(self, output: list[str]) -> VirtualAddressState:
        interfaces: dict[str, list[IPv4Interface]] = {}
        answered_by = ""
        peers = set()
        asked = True
        for line in output:
            key, _, value = line.partition("=")
            if key == "address":
                name, address = value.split(" ")
                interfaces.setdefault(name, []).append(IPv4Interface(address))
            elif key == "answers":
                answered_by = value
            elif key == "unasked":
                asked = False
            elif key == "peer":
                peers.add(value)
        return VirtualAddressState(interfaces, answered_by, frozenset(peers), asked)
