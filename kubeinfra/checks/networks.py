"""Whether the networks of Services and pods hold an address that a machine needs for something else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from urllib.parse import urlsplit

from kubeinfra.checks.base import Seen, is_running, new_groups
from kubeinfra.cluster.cluster import Cluster
from kubeinfra.cluster.registries import by_registry, proxy_hosts
from kubeinfra.cluster.settings import Settings
from kubeinfra.findings import Finding
from kubeinfra.machine.state import MachineState
from kubeinfra.machine.survey import Route

OWN_INTERFACES = ("cni0", "flannel.1", "kube-ipvs0")
"""Interfaces that flannel and kube-proxy make; they have addresses of these networks."""
SHOWN = 4  # things of a machine that one finding names
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
# Where the search for a free network begins: kubeadm's default, and flannel's.
_BEGIN = {"service_cidr": IPv4Address("10.96.0.0"), "cluster_cidr": IPv4Address("10.244.0.0")}


@dataclass(frozen=True)
class Used:
    """A network (of one address, mostly) that a machine uses, and in words what for."""

    network: IPv4Network
    what: str


def networks(seen: Seen) -> Iterator[Finding]:
    """
    Refused with a network that none of the machines uses.

    The networks of a running cluster cannot be changed any more: only a machine that is to become a node is refused
    there, of the others it is a warning. What a machine reaches matters on nodes, where the rules of kube-proxy and the
    routes of flannel are.
    """
    cluster, running = seen.cluster, is_running(seen)
    own = {machine.name: list(interfaces(found)) for machine, found in seen.machines}
    reached = {machine.name: list(reaches(cluster, found)) for machine, found in seen.machines}
    every = [one.network for several in (*own.values(), *reached.values()) for one in several]
    every += [IPv4Network(machine.address) for machine in cluster.machines]
    values = {"service_cidr": cluster.settings.service_cidr, "cluster_cidr": cluster.settings.cluster_cidr}
    for machine, found in seen.machines:
        for setting, network in values.items():
            uses = [*own[machine.name], *(reached[machine.name] if "node" in machine.groups else [])]
            inside = [one for one in uses if one.network.overlaps(network)]
            if not inside:
                continue
            others = [other for name, other in values.items() if name != setting]
            remedy = _remedy(setting, free(network.prefixlen, [*every, *others], _BEGIN[setting]))
            if running:
                remedy = "the networks of a running cluster stay: change the machine, or set up a new cluster"
            default = " (the default)" if Settings.model_fields[setting].default == network else ""
            yield Finding(
                "networks",
                machine.name,
                "warning" if running and "node" not in new_groups(machine, found) else "error",
                f"{setting} {network}{default} overlaps {_list(inside)}",
                remedy=remedy,
            )


def _list(inside: list[Used]) -> str:
    told = list(dict.fromkeys(one.what for one in inside))
    shown = told if len(told) <= SHOWN else [*told[:SHOWN], f"{len(told) - SHOWN} more"]
    return ", ".join(shown)


def _remedy(setting: str, network: IPv4Network | None) -> str:
    if network is None:
        return f"set {setting} in group_data/all.py to a network that no machine uses"
    dns = f', and dns_address = "{network[2]}"' if setting == "service_cidr" and network.num_addresses > 3 else ""
    return f'set {setting} = "{network}"{dns} in group_data/all.py: no machine uses it'


def interfaces(found: MachineState) -> Iterator[Used]:
    """The networks that the machine itself is in."""
    for interface in found.interfaces:
        if not interface.address.ip.is_loopback and interface.name not in OWN_INTERFACES:
            network = interface.address.network
            yield Used(network, f"its network {network} ({interface.name})")


def reaches(cluster: Cluster, found: MachineState) -> Iterator[Used]:
    """Everything else that the machine reaches by an address."""
    nodes: set[IPv4Address | None] = {one.address for one in cluster.machines}
    for route in found.survey.routes or ():
        if route.via is not None and not _is_own(cluster, route, nodes):
            yield Used(IPv4Network(route.via), f"its router {route.via}")
        if route.network.prefixlen and not _is_own(cluster, route, nodes):
            yield Used(route.network, f"its route to {route.network}")
    settings, survey = cluster.settings, found.survey
    yield from _addresses("name server", [*survey.name_servers, *settings.dns_upstreams])
    yield from _addresses("time server", [*survey.time_servers, *settings.time_servers])
    yield from _addresses("proxy", [*survey.proxies, *proxy_hosts(settings.runtime_proxy)])
    mirrors = [one for every in by_registry(settings.registry_mirrors).values() for one in every]
    yield from _addresses("registry mirror", [urlsplit(one.url).netloc for one in mirrors])
    yield from _addresses("package repository", [urlsplit(settings.docker_repository).netloc])
    yield from _addresses("ssh client, this controller or a jump host", [survey.ssh.removeprefix("::ffff:")])


def _is_own(cluster: Cluster, route: Route, nodes: Collection[IPv4Address | None]) -> bool:
    """Flannel's routes: to the pods of other nodes by its interface, or with host-gw by the node itself."""
    by_flannel = route.device in OWN_INTERFACES or route.via in nodes
    return by_flannel and route.network.subnet_of(cluster.settings.cluster_cidr)


def _addresses(what: str, texts: Iterable[str]) -> Iterator[Used]:
    """Those that are IPv4 addresses, perhaps with a port; names are of no network."""
    for text in texts:
        host = text.partition(":")[0]
        try:
            address = IPv4Address(host)
        except ValueError:
            continue
        if not address.is_loopback:
            yield Used(IPv4Network(address), f"its {what} {address}" if what != "package repository" else host)


def free(prefix: int, taken: Iterable[IPv4Network], begin: IPv4Address) -> IPv4Network | None:
    """The first private network of this size from `begin` on that overlaps none of these; None if there is none."""
    used = list(taken)
    ranges = [one for one in _PRIVATE if one.prefixlen <= prefix]
    places = [(begin, one) for one in ranges if begin in one] + [(one.network_address, one) for one in ranges]
    found = (_free(prefix, used, int(start), within) for start, within in places)
    return next((network for network in found if network), None)


def _free(prefix: int, used: list[IPv4Network], start: int, within: IPv4Network) -> IPv4Network | None:
    size = 1 << (32 - prefix)
    at = start
    while at + size - 1 <= int(within.broadcast_address):
        candidate = IPv4Network((at, prefix), strict=False)
        collides = next((one for one in used if one.overlaps(candidate)), None)
        if collides is None:
            return candidate
        after = max(int(collides.broadcast_address), at + size - 1) + 1
        at = -(-after // size) * size
    return None
