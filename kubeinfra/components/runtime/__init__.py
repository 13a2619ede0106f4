"""The container runtime, as the other components use it."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.components.runtime.base import Runtime, leading_numbers
from kubeinfra.components.runtime.containerd import Containerd
from kubeinfra.components.runtime.docker import Docker, given_flags
from kubeinfra.machine.state import InstalledRuntime
from kubeinfra.paths import UNITS

__all__ = ["CONTAINER_CGROUPS", "DATA", "NAMES", "VERSIONS", "Runtime", "installed", "runtime"]

_ALL: tuple[Runtime, ...] = (Docker(), Containerd())

NAMES = tuple(one.name for one in _ALL)
"""Names of the runtimes that a cluster may have."""

DATA = tuple(one.data for one in _ALL)
"""The directory where each of them has images and containers."""

# As kubelet's unit says what it starts after (kubeinfra/components/node.py).
_KUBELETS = (
    f"sed -n -E 's/^After=({'|'.join(NAMES)})\\.service$/kubelet-runtime=\\1/p' {UNITS}/kubelet.service 2>/dev/null"
)
VERSIONS = "; ".join([*(one.version for one in _ALL), _KUBELETS])
"""Shell that prints which runtimes a machine has, as `Runtime.version`, and "kubelet-runtime=<name>" of its kubelet."""


CONTAINER_CGROUPS = (
    *(part for one in _ALL for part in one.cgroups),
    *("kubepods", "crio-", "libpod", "machine.slice", "lxc"),
)
"""Parts of cgroup paths that tell a process in a container, of whatever runtime."""


def runtime(cluster: Cluster) -> Runtime:
    """The runtime of this cluster's nodes."""
    return Docker() if cluster.container_runtime == "docker" else Containerd(cluster.settings.containerd_source)


def installed(name: str, lines: Mapping[str, str]) -> InstalledRuntime:
    """What `Runtime.version` has printed of a runtime: key -> value."""
    return InstalledRuntime(
        version=leading_numbers(lines[name]),
        path=lines.get(f"{name}-path", ""),
        package=lines.get(f"{name}-package", ""),
        flags=given_flags(b64decode(lines.get(f"{name}-unit", "")).decode(errors="replace")),
        used=f"{name}-used" in lines,
        mirrors=tuple(lines.get(f"{name}-mirrors", "").split()),
    )
