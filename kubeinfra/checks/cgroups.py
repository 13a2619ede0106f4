"""Whether this release's kubelet works well with the machine's cgroups: old ones with v1, new ones with v2."""

from __future__ import annotations

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.flags import fails_on_cgroup_v1
from kubeinfra.findings import EXPLAINED, Finding
from kubeinfra.machine.state import MachineState
from kubeinfra.releases.versions import numbers

# Cgroup v2 has no figures of the root cgroup, which is the whole node. cAdvisor 0.38, of 1.20, reports 0; from runc
# 1.0.0-rc94 on they are read from /proc/meminfo, and 1.21.2 is the first release that has it (go.mod of the releases).
SEES_MEMORY = (1, 21, 2)
# systemd's NEWS: 256 needs a word more to boot with cgroup v1, 258 cannot any more.
RELUCTANT, WITHOUT = 256, 258


def cgroups(cluster: Cluster, machine: Machine, found: MachineState) -> list[Finding]:
    """
    A warning for a node on cgroup v2 whose kubelet reports that no memory is used, and never evicts a pod for it.

    A note for one on cgroup v1 whose kubelet starts only because the deploy tells it to.
    """
    if "node" not in machine.groups:
        return []
    if not found.cgroup_v2:
        return [_last_of_v1(cluster, machine)] if fails_on_cgroup_v1(cluster) else []
    if sees_memory(cluster.release.kubernetes):
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


def _last_of_v1(cluster: Cluster, machine: Machine) -> Finding:
    return Finding(
        check="cgroups",
        machine=machine.name,
        level="note",
        found=f"it has cgroup v1, on which the kubelet of {cluster.release.kubernetes} starts only with failCgroupV1: "
        "false",
        wanted="its configuration gets that, and upstream may take it away from 1.38 on (KEP-5573)",
        remedy="boot with the kernel argument systemd.unified_cgroup_hierarchy=1, which is cgroup v2, or take a newer "
        "release of the distribution",
        joints=EXPLAINED,
    )


def sees_memory(release: str) -> bool:
    """Whether the kubelet of this release reads a node's memory on cgroup v2."""
    return numbers(release) >= SEES_MEMORY


def _remedy(systemd: int) -> str:
    later = f"Kubernetes {'.'.join(map(str, SEES_MEMORY))} or newer sees it"
    if systemd >= WITHOUT:
        return f"{later}; systemd {systemd} cannot boot with cgroup v1"
    also = " SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1" if systemd >= RELUCTANT else ""
    return f"boot with the kernel argument systemd.unified_cgroup_hierarchy=0{also}, which is cgroup v1; {later}"
