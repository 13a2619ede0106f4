"""Which cluster a controller's directory is of, and how another one's inventory is told from it."""

from __future__ import annotations

import json
import os
import re
import stat
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from artifact_files import problem
from killing import killed_after

from kubeinfra.checks.identity import etcd_cluster_findings, identity_findings
from kubeinfra.controller.directory import ControllerDirectory
from kubeinfra.controller.identity import Identity, KnownMachine
from kubeinfra.errors import KubeinfraError
from kubeinfra.findings import Finding


def machines(*lines: str) -> tuple[KnownMachine, ...]:
    pairs = (line.split() for line in lines)
    return tuple(KnownMachine(name=name, address=IPv4Address(address)) for name, address in pairs)


GUIDE = machines("master01 192.168.80.10", "node01 192.168.80.12", "node02 192.168.80.13")
FILE = Path("/srv/.kubeinfra/kubernetes/cluster.json")


@pytest.fixture
def directory(tmp_path: Path) -> ControllerDirectory:
    return ControllerDirectory(tmp_path / ".kubeinfra" / "demo")


# --- the file


def test_what_is_recorded_is_read_back_and_private(directory: ControllerDirectory) -> None:
    assert directory.identity() is None
    directory.record_identity(GUIDE)
    assert directory.identity() == Identity(machines=GUIDE)
    directory.record_identity(etcd_cluster_id="cdf818194e3a8c32")
    directory.record_identity(GUIDE[1:])
    assert directory.identity() == Identity(machines=GUIDE[1:], etcd_cluster_id="cdf818194e3a8c32")
    directory.forget_etcd_cluster()
    assert directory.identity() == Identity(machines=GUIDE[1:])
    assert stat.S_IMODE(directory.identity_path.stat().st_mode) == 0o600


def test_the_file_has_the_documented_form(directory: ControllerDirectory) -> None:
    directory.record_identity(GUIDE[:1])
    assert json.loads(directory.identity_path.read_text()) == {
        "schema": 2,
        "machines": [{"name": "master01", "address": "192.168.80.10"}],
        "etcd_cluster_id": None,
    }


def test_what_is_known_already_is_not_written_again(directory: ControllerDirectory) -> None:
    directory.record_identity(GUIDE, "cdf818194e3a8c32")
    before, changes = directory.identity_path.stat(), directory.created
    directory.record_identity(GUIDE, "cdf818194e3a8c32")
    directory.record_identity()
    assert (directory.identity_path.stat(), directory.created) == (before, changes)


@pytest.mark.parametrize("syncs", range(5))
def test_a_run_killed_while_recording_leaves_the_old_or_the_new(directory: ControllerDirectory, syncs: int) -> None:
    directory.record_identity(GUIDE)
    survived = killed_after(syncs, lambda: directory.record_identity(GUIDE[1:]))
    assert survived == (syncs >= 3)
    found = directory.identity()
    assert found in (Identity(machines=GUIDE), Identity(machines=GUIDE[1:]))


# --- one that cannot be used


def full(directory: ControllerDirectory) -> None:
    directory.create_ca("etcd", 10)
    directory.record_identity(GUIDE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is damaged .*restore it from a backup, or remove it: the next run writes it"),
        ('{"schema": 2, "machi', "is damaged .*restore it"),
        ("[]", "is damaged"),
        ("{}", r"is damaged \(no schema number\)"),
        ('{"schema": 1}', "is damaged .*schema"),
        ('{"schema": "two"}', "is damaged .*schema"),
        ('{"schema": 2, "machines": [{"name": "m1", "address": "no"}]}', r"is damaged \(machines.0.address"),
        ('{"schema": 2, "machines": 3}', r"is damaged \(machines"),
        ('{"schema": 2, "other": 3}', r"is damaged \(other"),
        ('{"schema": 3, "other": 3}', "has schema 3, this kubeinfra reads up to 2: a newer one has written it"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_problem_and_nothing_is_changed(
    directory: ControllerDirectory, text: str, message: str
) -> None:
    full(directory)
    directory.identity_path.write_text(text)
    before = tree(directory.directory)
    [told] = directory.problems()
    assert re.match(rf"{directory.identity_path}: {message}", told)
    for change in (
        lambda: directory.record_identity(GUIDE),
        lambda: directory.forget_etcd_cluster(),
        lambda: directory.hold_run_lock(),
        lambda: directory.create_ca("kubernetes", 10),
        lambda: directory.create_secret("bootstrap-token", "x"),
        lambda: directory.write_admin_kubeconfig("x"),
    ):
        assert problem(change) == told
    assert tree(directory.directory) == before


def tree(directory: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None for path in directory.rglob("*")
    }


def test_a_file_that_was_removed_is_written_again(directory: ControllerDirectory) -> None:
    full(directory)
    directory.identity_path.unlink()
    assert directory.problems() == []
    directory.record_identity(GUIDE)
    assert directory.identity() == Identity(machines=GUIDE)


# --- one run at a time


def test_one_run_at_a_time_holds_the_cluster(directory: ControllerDirectory) -> None:
    held = directory.hold_run_lock()
    other = ControllerDirectory(directory.directory)
    assert problem(other.hold_run_lock).startswith(f"another run on {directory.directory} is at work")
    directory.create_secret("bootstrap-token", "a run that holds it writes")
    os.close(held)
    os.close(other.hold_run_lock())


# --- which machines


def sentences(found: list[Finding]) -> list[str]:
    return [finding.sentence() for finding in found]


@pytest.mark.parametrize(
    "inventory",
    [GUIDE, GUIDE[1:], (*GUIDE, *machines("node03 192.168.80.14")), machines("x 10.0.0.1", "node01 192.168.80.12")],
)
def test_a_machine_in_common_is_the_same_cluster(inventory: tuple[KnownMachine, ...]) -> None:
    assert identity_findings(Identity(machines=GUIDE), inventory, FILE) == []


def test_an_unknown_directory_is_anybodys() -> None:
    assert identity_findings(None, GUIDE, FILE) == identity_findings(Identity(), GUIDE, FILE) == []


@pytest.mark.parametrize(
    "inventory",
    [
        pytest.param(machines("a 10.0.0.1", "b 10.0.0.2"), id="all others"),
        pytest.param(machines("master01 10.0.0.1", "node01 10.0.0.2"), id="names of the example"),
        pytest.param(machines("a 192.168.80.10", "b 192.168.80.12"), id="addresses of another private network"),
    ],
)
def test_no_machine_in_common_is_another_cluster(inventory: tuple[KnownMachine, ...]) -> None:
    [message] = sentences(identity_findings(Identity(machines=GUIDE), inventory, FILE))
    assert message == (
        "/srv/.kubeinfra/kubernetes is of the cluster with master01 (192.168.80.10), node01 (192.168.80.12), node02 "
        f"(192.168.80.13); this inventory has none of these, it has {inventory[0]}, {inventory[1]}: set another "
        "cluster_name in group_data/all.py, which gives this cluster a directory of its own. If all machines of that "
        f'cluster have new names or addresses, set "machines" in {FILE} to []'
    )


def test_a_list_of_many_machines_is_cut() -> None:
    many = machines(*(f"n{number} 10.0.0.{number}" for number in range(1, 41)))
    [message] = sentences(identity_findings(Identity(machines=many), GUIDE, FILE))
    assert "n6 (10.0.0.6) and 34 more; this inventory" in message


# --- which etcd


def test_data_of_another_etcd_cluster_is_refused() -> None:
    identity = Identity(etcd_cluster_id="cdf818194e3a8c32")
    assert etcd_cluster_findings("m1", identity, "cdf818194e3a8c32", FILE) == []
    assert etcd_cluster_findings("m1", identity, None, FILE) == []
    assert etcd_cluster_findings("m1", Identity(), "aaaa", FILE) == etcd_cluster_findings("m1", None, "a", FILE) == []
    [message] = sentences(etcd_cluster_findings("m1", identity, "aaaa", FILE))
    assert message.startswith(f"m1: its etcd is a member of the cluster aaaa, {FILE} has cdf818194e3a8c32; take")


def test_errors_name_the_file(directory: ControllerDirectory) -> None:
    full(directory)
    directory.identity_path.write_bytes(b"\xff\xfe")
    with pytest.raises(KubeinfraError, match=r"cluster\.json: is not text"):
        directory.identity()
