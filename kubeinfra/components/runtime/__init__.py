"""The container runtime, as the other components use it."""

from __future__ import annotations

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.components.runtime.base import Runtime
from kubeinfra.components.runtime.docker import Docker, given_flags

__all__ = ["CONTAINER_CGROUPS", "VERSIONS", "Runtime", "given_flags", "runtime"]


VERSIONS = "; ".join(one.version for one in (Docker(),))
"""Shell that prints which runtime a machine has: see `Runtime.version`."""


CONTAINER_CGROUPS = (*Docker().cgroups, "kubepods", "crio-", "cri-containerd", "libpod", "machine.slice", "lxc")
"""Parts of cgroup paths that tell a process in a container, of whatever runtime."""


def runtime(cluster: Cluster) -> Runtime:
    """The runtime of this cluster's nodes."""
    return Docker()
