"""Addresses on a machine, and who else answers for one."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from shlex import join, quote

from pyinfra.api import FactBase


@dataclass(frozen=True)
class VirtualAddressState:
    """
    The machine's side of a virtual address.

    + interfaces: interface name -> its addresses with their prefixes
    + answered_by: link-layer address that answers for the virtual address, "" where nobody does
    + peers: link-layer addresses of the other load balancers
    + asked: whether anybody could be asked; without ping on the machine nobody was
    """

    interfaces: dict[str, list[IPv4Interface]]
    answered_by: str
    peers: frozenset[str]
    asked: bool = True

    def interface_of(self, address: IPv4Address) -> tuple[str, IPv4Interface] | None:
        """The interface that has this address, and the address with its prefix."""
        for name, own in self.interfaces.items():
            for interface in own:
                if interface.ip == address:
                    return name, interface
        return None

    def has(self, address: IPv4Address) -> bool:
        return self.interface_of(address) is not None

    @property
    def stranger(self) -> bool:
        """Whether somebody who is not one of the load balancers answers."""
        return bool(self.answered_by) and self.answered_by not in self.peers


class VirtualAddress(FactBase[VirtualAddressState]):
    """
    How things stand with a virtual address, seen from this machine. One command, at most two seconds.

    + address: the virtual address; + peers: addresses of the other load balancers
    """

    def command(self, address: str, peers: list[str]) -> str:
        everybody = join([address, *peers])
        return (
            "command -v ping >/dev/null || echo unasked=yes; "
            'ip -o -4 addr show | awk \'{print "address=" $2 " " $4}\'; '
            # Whether it answers a ping does not matter: the kernel asks for its link-layer address first.
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
