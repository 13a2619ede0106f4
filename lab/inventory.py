"""Reads the inventory in a process of its own: pyinfra replaces the threads of a process that imports it."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from kubeinfra.cluster.cluster import Cluster
from lab import settings


class Inventory(NamedTuple):
    cluster: Cluster
    kinds: dict[str, str]
    """Name of a machine -> what its `lab_machine` says, where it says something."""
    warnings: list[str]


def read(inventory: Path, values: Mapping[str, object] | None = None) -> Inventory:
    """
    What inventory and group_data describe; KubeinfraError with all errors.

    + values: settings of the lab's own that are to hold in place of group_data's
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_load, inventory, values or {}).result()


def _load(path: Path, values: Mapping[str, object]) -> Inventory:
    from kubeinfra.run.inventory import from_inventory, opened

    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "all.py").write_text(settings.assignments(values))
        inventory = opened(path, [Path(directory)])
    cluster, warnings = from_inventory(inventory)
    said = {machine.name: inventory.get_host_data(machine.name).get("lab_machine") for machine in cluster.machines}
    return Inventory(cluster, {name: str(kind) for name, kind in said.items() if kind is not None}, warnings)
