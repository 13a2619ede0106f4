"""On which ports the machines of each group listen."""

from __future__ import annotations

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.components import control_plane, etcd, load_balancer, metrics_server, network, node
from kubeinfra.components.base import Port


def ports(cluster: Cluster) -> dict[str, tuple[Port, ...]]:
    """Group -> the ports of its components."""
    return {
        "etcd": etcd.PORTS,
        "master": control_plane.ports(cluster),
        "lb": load_balancer.ports(cluster),
        "node": (*node.ports(cluster), *network.ports(cluster), *metrics_server.ports(cluster)),
    }
