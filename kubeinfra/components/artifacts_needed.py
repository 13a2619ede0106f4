"""Which binaries and images each machine needs for which of its components."""

from __future__ import annotations

from collections.abc import Iterable

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components import control_plane, etcd, node
from kubeinfra.components.base import Needed
from kubeinfra.components.runtime import runtime
from kubeinfra.releases.catalogue import Artifact


def _runtime(cluster: Cluster, arch: str) -> tuple[Needed, ...]:
    return runtime(cluster).binaries(cluster, arch)


COMPONENTS = {
    "etcd": ("etcd", etcd.binaries),
    "control plane": ("master", control_plane.binaries),
    "container runtime": ("node", _runtime),
    "node": ("node", node.binaries),
}
"""Component -> the group whose machines have it, and what they need."""


def needed(
    cluster: Cluster, machine: Machine, arch: str, components: Iterable[str] = tuple(COMPONENTS)
) -> list[Needed]:
    """What a machine needs for these of its components; another name than in COMPONENTS is a KeyError."""
    chosen = (COMPONENTS[name] for name in components)
    return [need for group, binaries in chosen if group in machine.groups for need in binaries(cluster, arch)]


def all_needed(cluster: Cluster, arches: Iterable[str]) -> list[Artifact]:
    """What the machines of a cluster need together, for these architectures; in order of their paths."""
    found = {
        need.artifact for machine in cluster.machines for arch in arches for need in needed(cluster, machine, arch)
    }
    return sorted(found, key=lambda one: one.path)


def node_images(cluster: Cluster) -> list[str]:
    """References of the images that are loaded on a node ahead of time."""
    return [
        cluster.pause_image,
        cluster.flannel_image,
        cluster.flannel_cni_plugin_image,
        cluster.coredns_image,
        *([cluster.metrics_server_image] if cluster.metrics_server else []),
        cluster.verify_image,
    ]
