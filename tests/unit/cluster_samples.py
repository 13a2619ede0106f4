"""Inventories and settings, such as a person writes them, that several tests share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubeinfra.cluster.build import InventoryEntry, build
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.errors import KubeinfraError

ALL = "group_data/all.py"


def entry(name: str, address: str, groups: str, **data: Any) -> InventoryEntry:
    """A line of an inventory; groups: their names, with spaces between them."""
    return InventoryEntry(name, frozenset(groups.split()), data, address)


ONE = (entry("m1", "192.168.80.10", "master node etcd"),)
THREE = (
    entry("m1", "192.168.80.10", "master etcd"),
    entry("n1", "192.168.80.11", "node etcd"),
    entry("n2", "192.168.80.12", "node etcd"),
)
TWO_MASTERS = (
    entry("m1", "192.168.80.10", "master etcd"),
    entry("m2", "192.168.80.20", "master"),
    entry("n1", "192.168.80.11", "node etcd"),
    entry("n2", "192.168.80.12", "node etcd"),
)
GUIDE = (
    *TWO_MASTERS,
    entry("lb1", "192.168.80.13", "lb"),
    entry("lb2", "192.168.80.14", "lb"),
)
VIRTUAL_IP = "192.168.80.100"


def cluster(entries: Iterable[InventoryEntry] = THREE, **values: Any) -> Cluster:
    return build(entries, values, dict.fromkeys(values, ALL))[0]


def guide(**values: Any) -> Cluster:
    return cluster(GUIDE, virtual_ip=VIRTUAL_IP, **values)


def problems(entries: Iterable[InventoryEntry] = THREE, **values: Any) -> Sequence[str]:
    """What is told about settings in group_data/all.py; nothing where the cluster is sound."""
    try:
        cluster(entries, **values)
    except KubeinfraError as error:
        return error.problems
    return ()


def machine(found: Cluster, name: str) -> Machine:
    return found.machine(name)
