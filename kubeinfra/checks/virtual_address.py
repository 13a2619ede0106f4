"""Whether a load balancer can hold the virtual address."""

from __future__ import annotations

from ipaddress import IPv4Address

from kubeinfra.cluster.cluster import Machine
from kubeinfra.findings import Finding
from kubeinfra.machine.state import VirtualAddressState


def problems(machine: Machine, virtual_ip: IPv4Address, found: VirtualAddressState) -> list[Finding]:
    """Errors if the address is not in the machine's subnet, or a machine that is no load balancer answers for it."""

    def error(what: str, wanted: str, remedy: str) -> Finding:
        return Finding("virtual address", machine.name, "error", what, wanted, remedy)

    own = found.interface_of(machine.address)
    if own is None:
        return [error(f"no interface has its address {machine.address}", "", "correct the inventory")]
    name, subnet = own[0], own[1].network
    if virtual_ip not in subnet or virtual_ip in (subnet.network_address, subnet.broadcast_address):
        what = f"virtual_ip {virtual_ip} is not a usable address of its subnet {subnet} on {name}"
        return [error(what, "", "set virtual_ip in group_data/lb.py to a free address of that subnet")]
    if not found.has(virtual_ip) and found.stranger:
        answers = f"answers for virtual_ip {virtual_ip} ({found.answered_by})"
        what = f"somebody who is no load balancer of this inventory {answers}"
        return [error(what, "", "take a free address, or switch that machine off")]
    return []
