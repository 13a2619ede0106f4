"""Whether etcd may go from the release that made its data to the one of this run: one minor at a time, and only up."""

from __future__ import annotations

from collections.abc import Iterator

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.etcd import minor
from kubeinfra.findings import Finding
from kubeinfra.machine.state import MachineState


def etcd_version(cluster: Cluster, machine: Machine, found: MachineState) -> Iterator[Finding]:
    """Source: etcd.io/docs, "Upgrading etcd clusters"; a member of a lower minor does not start with newer data."""
    if "etcd" not in machine.groups or not found.etcd_version:
        return
    wanted = cluster.etcd_version
    (major, here), (_, then) = minor(found.etcd_version), minor(wanted)
    if minor(wanted)[0] == major and here <= then <= here + 1:
        return
    known = f"its data is of etcd {found.etcd_version}, and this run would start {wanted}"
    if minor(wanted) < minor(found.etcd_version):
        yield _error(
            machine,
            known,
            "etcd does not go back by a minor release",
            f"set etcd_version to one of {major}.{here} in group_data/all.py, or restore a snapshot of before the "
            "upgrade into new members (docs/day2/restore.md)",
        )
    else:
        yield _error(
            machine,
            known,
            "etcd goes up by one minor release at a time",
            f"set etcd_version to the newest of {major}.{here + 1} first, and run deploy.py",
        )


def _error(machine: Machine, found: str, wanted: str, remedy: str) -> Finding:
    return Finding("etcd-version", machine.name, "error", found, wanted, remedy, joints=("; ", ": "))
