"""Reads the inventory in a process of its own: pyinfra replaces the threads of a process that imports it."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from kubeinfra.cluster.cluster import Cluster


def read(inventory: Path) -> tuple[Cluster, list[str]]:
    """The cluster that inventory and group_data describe, and its warnings; KubeinfraError with all errors."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_load, inventory).result()


def _load(inventory: Path) -> tuple[Cluster, list[str]]:
    from kubeinfra.run.inventory import load

    return load(inventory)
