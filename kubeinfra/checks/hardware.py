"""Whether kernel, processors, memory and disks will do for the release and the machine's groups."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from kubeinfra.checks.base import new_groups
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.runtime import runtime
from kubeinfra.findings import EXPLAINED, Finding
from kubeinfra.machine.state import MachineState

# Since a minor release -> the oldest kernel. Source: kubeadm's k8s.io/system-validators, types_unix.go ("Requires
# 3.10+"; 1.32's has 4.19).
KERNELS = {(1, 20): (3, 10), (1, 32): (4, 19)}
# Group -> processors and MiB of memory; a machine in several groups needs the most of them. Source for masters:
# kubeadm's preflight (2, 1700); for etcd: https://etcd.io/docs/v3.5/op-guide/hardware/ (2 to 4 cores, small clusters).
LEAST = {"master": (2, 1700), "node": (1, 900), "etcd": (2, 900), "lb": (1, 250)}
# Path -> group -> GiB that are free before the first run: binaries, images, etcd's write-ahead log and snapshots.
FREE = {
    "/opt": {"master": 1, "node": 1, "etcd": 1},
    "/var/lib/etcd": {"etcd": 2},
    "/var/lib/kubelet": {"node": 1},
}
IMAGES = {"node": 5}  # the same, where the container runtime has them
SLOW = 0.010  # seconds; https://etcd.io/docs/v3.5/faq/: p99 of a synchronous write should be below 10 ms
ENOUGH = 20  # writes from which a percentile can be told

Findings = Iterator[Finding]


def kernel(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    oldest = max(kernel for since, kernel in KERNELS.items() if since <= max(cluster.release.minor, min(KERNELS)))
    if found.kernel and found.kernel < oldest and machine.groups & {"master", "node"}:
        yield Finding(
            "kernel",
            machine.name,
            "error",
            f"its kernel is {found.survey.kernel}",
            f"Kubernetes {cluster.release.kubernetes} needs {oldest[0]}.{oldest[1]} or newer",
            "update it, or take a newer release of the distribution",
        )


def kernel_modules(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """Without it packets between pods of one node pass by what kube-proxy has set up, and flannel does not start."""
    if "node" in machine.groups and found.survey.br_netfilter is False:
        yield Finding(
            "kernel-modules",
            machine.name,
            "error" if "node" in new_groups(machine, found) else "warning",
            f"its kernel, {found.survey.kernel}, has no module br_netfilter",
            "pods reach no Service without it",
            "install the kernel's package that has it (linux-modules-extra-$(uname -r), kernel-modules-extra)",
        )


def processors(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    wanted = max((LEAST[group][0] for group in machine.groups), default=0)
    if found.survey.cpus is not None and found.survey.cpus < wanted:
        has = f"it has {found.survey.cpus} processor{'' if found.survey.cpus == 1 else 's'}"
        yield _small("processors", machine, has, f"{wanted} or more are better for")


def memory(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    wanted = max((LEAST[group][1] for group in machine.groups), default=0)
    if found.survey.memory is not None and found.survey.memory < wanted * 1024:
        has = f"it has {found.survey.memory // 1024} MiB of memory"
        yield _small("memory", machine, has, f"{wanted} MiB or more are better for")


def _small(check: str, machine: Machine, found: str, wanted: str) -> Finding:
    parts = " and ".join(sorted(machine.groups))
    return Finding(check, machine.name, "warning", found, f"{wanted} {parts}", "give it more, or fewer parts")


def disk_space(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    if found.cas:
        return  # what the room is for is there already
    for path, groups in {**FREE, runtime(cluster).data: IMAGES}.items():
        wanted = max((size for group, size in groups.items() if group in machine.groups), default=0)
        free = found.survey.disks.get(path)
        if free is not None and free < wanted * 2**20:
            yield Finding(
                "disk-space",
                machine.name,
                "warning",
                f"{free / 2**20:.1f} GiB are free for {path}",
                f"{wanted} GiB or more are better",
                "make room, or mount a disk there",
            )


def etcd_disk_latency(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    latencies = sorted(found.survey.latencies)
    if len(latencies) < ENOUGH:
        return
    slowest = latencies[ceil(0.99 * len(latencies)) - 1]
    if slowest > SLOW:
        yield Finding(
            "etcd-disk-latency",
            machine.name,
            "warning",
            f"a write to the disk of /var/lib/etcd takes up to {slowest * 1000:.0f} ms (p99 of {len(latencies)})",
            f"etcd wants less than {SLOW * 1000:.0f} ms",
            "put it on an SSD that nothing else writes to, or leaders change under load",
            joints=EXPLAINED,
        )
