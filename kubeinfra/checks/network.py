"""What the networks of machines must be like: routes, MTU, and the connection that this run itself comes in by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv6Address

from kubeinfra.checks.base import Seen
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.host import sysctls
from kubeinfra.components.proxy_mode import is_ipvs
from kubeinfra.findings import EXPLAINED, Finding
from kubeinfra.machine.state import MachineState

Findings = Iterator[Finding]


def ssh_over_ipv6(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """The sysctl takes effect at once, and at every boot."""
    try:
        address = IPv6Address(found.survey.ssh.partition("%")[0])
    except ValueError:
        return
    if address.ipv4_mapped is None and sysctls(cluster).get("net.ipv6.conf.all.disable_ipv6") == "1":
        yield Finding(
            "ssh-over-ipv6",
            machine.name,
            "error",
            f"this run reaches it over IPv6 (from {address}), which disable_ipv6 switches off",
            remedy="set disable_ipv6 = False in group_data/all.py, or connect to its IPv4 address",
        )


def default_route(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """With kube-proxy's rules a packet to a Service is rewritten after it was routed; ipvs has an interface for it."""
    service, routes = cluster.settings.service_cidr, found.survey.routes
    if is_ipvs(cluster, machine, found) or "node" not in machine.groups or routes is None:
        return
    leading = [route.network for route in routes if not route.refuses]
    if not any(service.subnet_of(network) for network in leading):
        own = found.interface_of(machine.address)
        yield Finding(
            "default-route",
            machine.name,
            "error",
            f"it has no route to service_cidr {service}, and no default route",
            "without ipvs flannel then does not reach the API server's Service",
            f"add one for good, such as {service} dev {own.name if own else 'eth0'}"
            f"{', or set kube_proxy_mode to ipvs' if found.survey.ip_vs else ''}",
            joints=EXPLAINED,
        )


def mtu(seen: Seen) -> Findings:
    """Of the interface with the machine's address. A larger packet than the other side takes is lost, or split."""
    own = {}
    for machine, found in seen.machines:
        interface = found.interface_of(machine.address)
        if interface and (link := found.survey.link(interface.name)):
            own[machine.name] = link
    counts = Counter(link.mtu for link in own.values())
    if len(counts) < 2:
        return
    usual, count = counts.most_common(1)[0]
    for name, link in own.items():
        if link.mtu != usual:
            yield Finding(
                "mtu",
                name,
                "warning",
                f"{link.name} has MTU {link.mtu}",
                f"{count} other machine{'' if count == 1 else 's'} have {usual}",
                "give all the same where their network is configured, or large packets between them may be lost",
            )
