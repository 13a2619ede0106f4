"""Cgroup v2 under a kubelet that does not see the node's memory there: a warning with the way out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cluster_samples import SEEN, guide
from local_machine import answer, program

from kubeinfra.checks.cgroups import cgroups, sees_memory
from kubeinfra.facts.machine import MachineFacts

WARNING = (
    "n1: on cgroup v2 the kubelet of 1.20.15 reports 0 bytes of memory in use; no pod is evicted when memory runs "
    "short, and the kernel kills processes instead: "
)
V1 = "boot with the kernel argument systemd.unified_cgroup_hierarchy=0"
LATER = "Kubernetes 1.21.2 or newer sees it"


@pytest.mark.parametrize(
    ("systemd", "remedy"),
    [
        (252, f"{V1}, which is cgroup v1; {LATER}"),
        (257, f"{V1} SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1, which is cgroup v1; {LATER}"),
        (258, f"{LATER}; systemd 258 cannot boot with cgroup v1"),
    ],
)
def test_a_node_on_cgroup_v2_is_warned_about(systemd: int, remedy: str) -> None:
    found = guide()
    (warning,) = cgroups(found, found.machine("n1"), replace(SEEN, cgroup_v2=True, systemd=systemd))
    assert (warning.level, warning.sentence()) == ("warning", WARNING + remedy)


def test_others_are_not() -> None:
    found, v2 = guide(), replace(SEEN, cgroup_v2=True)
    assert cgroups(found, found.machine("n1"), SEEN) == [], "cgroup v1"
    assert cgroups(found, found.machine("m2"), v2) == [], "no kubelet"


@pytest.mark.parametrize(("version", "notes"), [("1.34.4", 0), ("1.35.0", 1), ("1.37.2", 1)])
def test_a_node_on_cgroup_v1_is_told_that_it_will_not_be_for_long(version: str, notes: int) -> None:
    found = guide(kubernetes_version=version)
    told = cgroups(found, found.machine("n1"), SEEN)
    assert [one.level for one in told] == ["note"] * notes
    assert all(f"n1: it has cgroup v1, on which the kubelet of {version} starts only" in one.sentence() for one in told)
    assert cgroups(found, found.machine("n1"), replace(SEEN, cgroup_v2=True)) == []
    assert cgroups(found, found.machine("m2"), SEEN) == [], "no kubelet"


@pytest.mark.parametrize(
    ("release", "sees"),
    [("1.20.15", False), ("1.21.1", False), ("1.21.2", True), ("1.21.14", True), ("1.22.0", True), ("2.0.0", True)],
)
def test_releases_that_see_it(release: str, sees: bool) -> None:
    assert sees_memory(release) is sees


@pytest.mark.parametrize(("filesystem", "is_v2"), [("cgroup2fs", True), ("tmpfs", False)])
def test_the_hierarchy_is_told_by_its_file_system(tmp_path: Path, filesystem: str, is_v2: bool) -> None:
    programs = program(tmp_path, "stat", f'[ "$1 $4" = "-f /sys/fs/cgroup" ] && echo {filesystem}')
    assert answer(MachineFacts(), programs=programs).cgroup_v2 is is_v2
