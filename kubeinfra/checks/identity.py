"""Whether a controller's directory is of the cluster that the inventory describes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kubeinfra.controller.identity import Identity, KnownMachine
from kubeinfra.findings import EXPLAINED, Finding

SHOWN = 6  # machines of a list; more make no message clearer


def identity_findings(identity: Identity | None, machines: Sequence[KnownMachine], file: Path) -> list[Finding]:
    """
    An inventory that has no machine in common with the last one describes another cluster with the same name.

    A machine is the same if both its name and its address are: names of an example, and addresses of private
    networks, are in use everywhere.

    + identity: what `file` says, None without one; + machines: of the inventory
    """
    if not identity or not identity.machines or set(identity.machines) & set(machines):
        return []
    return [
        Finding(
            "cluster",
            "",
            "error",
            f"{file.parent} is of the cluster with {_list(identity.machines)}",
            wanted=f"this inventory has none of these, it has {_list(machines)}",
            remedy="set another cluster_name in group_data/all.py, which gives this cluster a directory of its own. If "
            f'all machines of that cluster have new names or addresses, set "machines" in {file} to []',
            joints=EXPLAINED,
        )
    ]


def etcd_cluster_findings(machine: str, identity: Identity | None, found: str | None, file: Path) -> list[Finding]:
    """
    A member whose data is of another etcd cluster belongs to another Kubernetes cluster.

    + found: the id of the cluster that this machine's etcd is a member of, in hex; None without data
    """
    recorded = identity.etcd_cluster_id if identity else None
    if recorded is None or found is None or recorded == found:
        return []
    return [
        Finding(
            "cluster",
            machine,
            "error",
            f"its etcd is a member of the cluster {found}",
            wanted=f"{file} has {recorded}",
            remedy="take the machine out of this inventory, or empty its /var/lib/etcd if nobody needs that cluster's "
            f'data. If this cluster was restored by hand, set "etcd_cluster_id" in {file} to null',
        )
    ]


def _list(machines: Sequence[KnownMachine]) -> str:
    shown = ", ".join(map(str, machines[:SHOWN]))
    return f"{shown} and {len(machines) - SHOWN} more" if len(machines) > SHOWN else shown
