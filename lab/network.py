"""The network of the machines: a bridge of their own, on which each has the inventory's address."""

from __future__ import annotations

import json
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network

from kubeinfra.errors import KubeinfraError
from lab.docker import attempt, docker, lines
from lab.names import BRIDGE, LABEL, NETWORK, OWN


def provide(addresses: Collection[IPv4Address]) -> None:
    """Make the bridge network for these addresses, or check that the one which is there has room for them."""
    found = attempt("network", "inspect", NETWORK)
    if found.returncode == 0:
        _require_room(IPv4Network(json.loads(found.stdout)[0]["IPAM"]["Config"][0]["Subnet"]), addresses)
        return
    network = subnet(addresses)
    docker(
        "network",
        "create",
        f"--label={OWN}",
        f"--subnet={network}",
        f"--gateway={gateway(network, addresses)}",
        f"--opt=com.docker.network.bridge.name={BRIDGE}",
        NETWORK,
    )


def own() -> tuple[IPv4Network, IPv4Address]:
    """The network that is there, and this computer's address in it."""
    (settings,) = json.loads(docker("network", "inspect", NETWORK))[0]["IPAM"]["Config"]
    return IPv4Network(settings["Subnet"]), IPv4Address(settings["Gateway"])


def others() -> list[str]:
    """Networks of labs of other names, on the same engine."""
    return [name for name in lines("network", "ls", f"--filter=label={LABEL}", "--format={{.Name}}") if name != NETWORK]


def subnet(addresses: Collection[IPv4Address]) -> IPv4Network:
    """
    The network that the machines are in: /24 if that holds all, else the smallest that does, up to /16.

    Raises KubeinfraError if they are further apart.
    """
    first, last = min(addresses), max(addresses)
    for prefix in range(24, 15, -1):
        network = IPv4Network((first, prefix), strict=False)
        if last in network:
            return network
    raise KubeinfraError(f"inventory: {first} and {last} do not fit into one /16; the lab has one network only")


def gateway(network: IPv4Network, taken: Collection[IPv4Address]) -> IPv4Address:
    """The engine host's own address in it: the first that no machine has."""
    return next(address for address in network.hosts() if address not in taken)


def _require_room(network: IPv4Network, addresses: Collection[IPv4Address]) -> None:
    if outside := [str(address) for address in addresses if address not in network]:
        raise KubeinfraError(
            f"the lab is up with network {network}, which has no room for {', '.join(outside)}: "
            "run `python -m lab down` first"
        )
