"""etcd's members keep the names that their data was created with, even if the inventory changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cluster_samples import SEEN, cluster, entry, guide, here
from hypothesis import given
from hypothesis import strategies as st

from kubeinfra.components import etcd
from kubeinfra.machine.state import MachineState
from kubeinfra.machine.wanted import File


def named(name: str, serves: bool = True) -> MachineState:
    return replace(SEEN, etcd_name=name, etcd_serves=serves)


def names(**seen: MachineState) -> list[str]:
    return [member.name for member in etcd.members(guide(), seen)]


def test_new_members_are_counted_in_the_order_of_the_inventory() -> None:
    assert names() == names(m1=SEEN, n1=SEEN, n2=SEEN) == ["etcd01", "etcd02", "etcd03"]


def test_a_line_removed_from_the_middle_renames_no_member() -> None:
    left = cluster((entry("m1", "192.168.80.10", "master etcd"), entry("n2", "192.168.80.12", "node etcd")))
    seen = {"m1": named("etcd01"), "n2": named("etcd03")}
    assert [member.name for member in etcd.members(left, seen)] == ["etcd01", "etcd03"]


def test_a_new_member_takes_the_lowest_free_number() -> None:
    assert names(m1=named("etcd02"), n2=named("etcd01")) == ["etcd02", "etcd03", "etcd01"]
    assert names(m1=named("etcd01"), n2=named("etcd03")) == ["etcd01", "etcd02", "etcd03"]
    assert names(n1=named("m-by-hand")) == ["etcd01", "m-by-hand", "etcd02"]


@given(st.lists(st.sampled_from(["etcd01", "etcd02", "etcd03", "etcd04", ""]), min_size=3, max_size=3))
def test_no_two_members_have_one_name(kept: list[str]) -> None:
    there = [name for name in kept if name]
    seen = {machine: named(name) for machine, name in zip(("m1", "n1", "n2"), kept, strict=True) if name}
    found = names(**seen)
    assert [new for new, old in zip(found, kept, strict=True) if old] == there
    assert len(set(found)) == 3 or len(set(there)) < len(there)


@pytest.mark.parametrize(
    ("others", "state"),
    [
        ({}, "new"),
        ({"n1": SEEN, "n2": SEEN}, "new"),
        (
            {"n1": named("etcd02", serves=False)},
            "new",
        ),  # cut off while the cluster was first made: it has no quorum yet
        ({"n1": named("etcd02"), "n2": named("etcd03")}, "existing"),
    ],
)
def test_a_member_without_data_joins_a_cluster_that_serves(others: dict[str, MachineState], state: str) -> None:
    files = {file.path: file for file in etcd.describe(here(guide(), "m1", **others)).files if isinstance(file, File)}
    at_birth = files["/opt/etcd/cfg/etcd.initial"]
    assert f"ETCD_INITIAL_CLUSTER_STATE={state}\n" in (at_birth.content or "")
    assert at_birth.unless == "/var/lib/etcd/default.etcd/member", "it is left alone once there is data"


def test_a_member_is_started_with_its_kept_name() -> None:
    files = {
        file.path: file for file in etcd.describe(here(guide(), "m1", named("etcd07"))).files if isinstance(file, File)
    }
    assert "ETCD_NAME=etcd07\n" in (files["/opt/etcd/cfg/etcd"].content or "")
