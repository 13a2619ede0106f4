"""Swap for pods: only where release and cgroup hierarchy have it; then the swap of the node stays as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cluster_samples import SEEN, THREE, cluster, entry, here, problems

from kubeinfra.checks.swap import swap
from kubeinfra.components import host
from kubeinfra.machine.wanted import Edit

LIMITED: dict[str, Any] = {"swap": "limited", "kubernetes_version": "1.34.4"}


@pytest.mark.parametrize(("release", "is_refused"), [("1.20.15", True), ("1.29.6", True), ("1.30.14", False)])
def test_a_kubelet_that_does_not_know_it_is_an_error(release: str, is_refused: bool) -> None:
    wanted = (
        "group_data/all.py: swap is limited, which the kubelet has from Kubernetes 1.30 on, and kubernetes_version is "
        f"{release}: set swap to off"
    )
    assert list(problems(swap="limited", kubernetes_version=release)) == ([wanted] if is_refused else [])


def test_one_node_may_have_it_alone() -> None:
    own = entry("n3", "192.168.80.15", "node", swap="limited")
    found = cluster([*THREE, own], kubernetes_version="1.34.4")
    assert [host.keeps_swap(here(found, name)) for name in ("n1", "n3")] == [False, True]
    (problem,) = problems([*THREE, own])
    assert "swap is limited" in problem


@pytest.mark.parametrize(("name", "v2", "errors"), [("n1", False, 1), ("n1", True, 0), ("m1", False, 0)])
def test_a_node_needs_cgroup_v2(name: str, v2: bool, errors: int) -> None:
    found = cluster(**LIMITED)
    told = list(swap(found, found.machine(name), replace(SEEN, cgroup_v2=v2)))
    assert [(one.level, one.found) for one in told] == errors * [
        ("error", "it has cgroup v1, with which the kubelet does not start if swap is limited")
    ]


@pytest.mark.parametrize(
    ("name", "values", "is_edited"), [("n1", {}, True), ("n1", LIMITED, False), ("m1", LIMITED, True)]
)
def test_fstab_is_left_alone_where_pods_use_swap(name: str, values: dict[str, Any], is_edited: bool) -> None:
    files = host.describe(here(cluster(**values), name)).files
    assert ("/etc/fstab" in [file.path for file in files if isinstance(file, Edit)]) is is_edited
