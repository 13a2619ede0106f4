"""Whether this release's kubelet sees how much memory a node uses: on cgroup v2 older ones do not."""

from __future__ import annotations

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.findings import EXPLAINED, Finding
from kubeinfra.machine.state import MachineState

# Cgroup v2 has no figures of the root cgroup, which is the whole node. cAdvisor 0.38, of 1.20, reports 0; from runc
# 1.0.0-rc94 on they are read from /proc/meminfo, and 1.21.2 is the first release that has it (go.mod of the releases).
SEES_MEMORY = (1, 21, 2)
# systemd's NEWS: 256 needs a word more to boot with cgroup v1, 258 cannot any more.
RELUCTANT, WITHOUT = 256, 258


def cgroups(cluster: Cluster, machine: Machine, found: MachineState) -> list[Finding]:
    """A warning for a node on cgroup v2 whose kubelet reports that no memory is used, and never evicts a pod for it."""
    if "node" not in machine.groups or not found.cgroup_v2 or sees_memory(cluster.release.kubernetes):
        return []
    return [
        Finding(
            check="cgroups",
            machine=machine.name,
            level="warning",
            found=f"on cgroup v2 the kubelet of {cluster.release.kubernetes} reports 0 bytes of memory in use",
            wanted="no pod is evicted when memory runs short, and the kernel kills processes instead",
            remedy=_remedy(found.systemd or 0),
            joints=EXPLAINED,
        )
    ]


def sees_memory(release: str) -> bool:
    """Whether the kubelet of this release reads a node's memory on cgroup v2."""
    return tuple(int(part) for part in release.split(".")) >= SEES_MEMORY


def _remedy(systemd: int) -> str:
    later = f"Kubernetes {'.'.join(map(str, SEES_MEMORY))} or newer sees it"
    if systemd >= WITHOUT:
        return f"{later}; systemd {systemd} cannot boot with cgroup v1"
    also = " SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1" if systemd >= RELUCTANT else ""
    return f"boot with the kernel argument systemd.unified_cgroup_hierarchy=0{also}, which is cgroup v1; {later}"
