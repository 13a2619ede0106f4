"""Inventories and settings, as users write them, that several tests share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubeinfra.checks.settings import OF_SETTINGS
from kubeinfra.cluster.build import InventoryEntry, build
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.base import Here
from kubeinfra.errors import KubeinfraError
from kubeinfra.machine.software import Software
from kubeinfra.machine.state import MachineState
from kubeinfra.machine.survey import Survey
from kubeinfra.pki.secrets import ClusterSecrets

ALL = "group_data/all.py"
RELEASE = "1.20.15"
"""The guide's, which the samples have unless a test says another."""


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
    values = {"kubernetes_version": RELEASE, **values}
    return build(entries, values, dict.fromkeys(values, ALL), further=OF_SETTINGS)[0]


def guide(**values: Any) -> Cluster:
    return cluster(GUIDE, virtual_ip=VIRTUAL_IP, **values)


def problems(entries: Iterable[InventoryEntry] = THREE, **values: Any) -> Sequence[str]:
    """The errors for settings in group_data/all.py; none if the cluster is valid."""
    try:
        cluster(entries, **values)
    except KubeinfraError as error:
        return error.problems
    return ()


SEEN = MachineState(
    uid=0,
    arch="amd64",
    systemd=252,
    family="debian",
    distribution="debian",
    container=False,
    resolv_conf="nameserver 192.168.80.1\n",
    systemd_resolv_conf="",
    keeps_time=False,
    software=Software(version="12"),
    survey=Survey(kernel="6.1.0-18-amd64"),
)
"""A bare Debian machine."""


def here(found: Cluster, name: str, seen: MachineState = SEEN, **others: MachineState) -> Here:
    """The input of a component's description on this machine, before a run has created any CA or secret."""
    return Here(found, found.machine(name), seen, ClusterSecrets(), {name: seen, **others})


def machine(found: Cluster, name: str) -> Machine:
    return found.machine(name)
