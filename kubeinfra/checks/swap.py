"""Whether the release, and each node, can give swap to pods."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.findings import Finding
from kubeinfra.machine.state import MachineState

# Source: kubernetes/CHANGELOG of 1.30: NodeSwap is beta and on; LimitedSwap needs cgroup v2. Stable in 1.34.
NODE_SWAP = (1, 30)


def swap_is_known(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    limited = any(cluster.settings_of(node).swap == "limited" for node in cluster.nodes)
    if limited and cluster.release.minor < NODE_SWAP:
        yield (
            f"{where('swap')}: swap is limited, which the kubelet has from Kubernetes {'.'.join(map(str, NODE_SWAP))} "
            f"on, and kubernetes_version is {cluster.settings.kubernetes_version}: set swap to off"
        )


def swap(cluster: Cluster, machine: Machine, found: MachineState) -> Iterator[Finding]:
    if "node" in machine.groups and cluster.settings_of(machine).swap == "limited" and not found.cgroup_v2:
        yield Finding(
            "swap",
            machine.name,
            "error",
            "it has cgroup v1, with which the kubelet does not start if swap is limited",
            remedy="set swap to off for it, or boot it with cgroup v2",
        )
