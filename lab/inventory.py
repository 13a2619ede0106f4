"""Reads the inventory in a process of its own: pyinfra replaces the threads of a process that imports it."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from kubeinfra.cluster.cluster import Cluster


class Inventory(NamedTuple):
    cluster: Cluster
    kinds: dict[str, str]
    """Name of a machine -> what its `lab_machine` says, where it says something."""
    warnings: list[str]


def read(inventory: Path) -> Inventory:
    """What inventory and group_data describe; KubeinfraError with all errors."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_load, inventory).result()


def _load(path: Path) -> Inventory:
    from kubeinfra.run.inventory import from_inventory, opened

    inventory = opened(path)
    cluster, warnings = from_inventory(inventory)
    said = {machine.name: inventory.get_host_data(machine.name).get("lab_machine") for machine in cluster.machines}
    return Inventory(cluster, {name: str(kind) for name, kind in said.items() if kind is not None}, warnings)
