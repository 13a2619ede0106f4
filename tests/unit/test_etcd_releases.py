"""etcd of each minor gets environment and commands that it knows, and goes to another release one minor at a time."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cluster_samples import SEEN, cluster, here
from hypothesis import given, settings
from hypothesis import strategies as st
from local_machine import program, shell

from kubeinfra.checks.base import Seen
from kubeinfra.checks.catalogue import findings
from kubeinfra.cluster.cluster import Cluster
from kubeinfra.components import etcd, etcd_snapshot
from kubeinfra.machine.wanted import File, Link

DATA = Path(__file__).resolve().parents[1] / "data/etcd"
# Minor of etcd -> a Kubernetes release with which it goes.
MINORS = {"3.4": "1.20.15", "3.5": "1.28.15", "3.6": "1.34.4", "3.7": "1.37.2"}
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def known(minor: str) -> dict[str, Any]:
    """What the binaries of that minor say of themselves; tests/data/etcd/record.py has asked them."""
    found: dict[str, Any] = json.loads((DATA / f"{minor}.json").read_text(encoding="utf-8"))
    return found


def of(minor: str) -> Cluster:
    return cluster(kubernetes_version=MINORS[minor], etcd_version=known(minor)["version"])


def files(minor: str) -> dict[str, str]:
    found = etcd.describe(here(of(minor), "m1")).files
    return {file.path: file.content or "" for file in found if isinstance(file, File)}


def restore(version: str, now: datetime = NOW, snapshot: str = "/s.db") -> str:
    every = etcd.members(cluster(), {})
    return etcd_snapshot.restore(version, snapshot, "/data", every[0], every, now)


@pytest.mark.parametrize("minor", MINORS)
def test_every_variable_is_a_flag_of_the_release_that_is_not_deprecated(minor: str) -> None:
    text = "".join(files(minor)[f"/opt/etcd/cfg/{name}"] for name in ("etcd", "etcd.initial"))
    told = {name.lower().replace("_", "-") for name in re.findall(r"^ETCD_(\w+)=", text, flags=re.MULTILINE)}
    assert len(told) == 23
    assert told <= set(known(minor)["flags"])
    assert not told & set(known(minor)["deprecated"])


@pytest.mark.parametrize("minor", MINORS)
def test_a_snapshot_is_put_back_with_a_command_of_the_release(minor: str) -> None:
    tool, *words = restore(known(minor)["version"]).split(" && ")[-1].split()
    command = f"{Path(tool).name} snapshot restore"
    told = {word.removeprefix("--") for word in words if word.startswith("--")}
    assert told <= set(known(minor)["commands"][command])
    assert Path(tool).name == ("etcdctl" if minor == "3.4" else "etcdutl")


@pytest.mark.parametrize("minor", MINORS)
def test_what_looks_at_a_snapshot_is_there(minor: str) -> None:
    (binaries,) = etcd.binaries(of(minor), "amd64")
    with_etcdutl = "etcdutl" in binaries.names
    assert ("etcdutl snapshot status" in known(minor)["commands"]) is with_etcdutl
    assert "etcdctl snapshot save" in known(minor)["commands"]
    links = {link.path: link.target for link in etcd.describe(here(of(minor), "m1")).files if isinstance(link, Link)}
    assert links.get("/usr/local/bin/etcdutl") == ("/opt/etcd/bin/etcdutl" if with_etcdutl else None)


@pytest.mark.parametrize("minor", MINORS)
def test_etcdctl_is_told_its_api_where_there_was_another(minor: str) -> None:
    """From 3.6 on it says on each call that it does not know the variable."""
    assert ("ETCDCTL_API=3" in files(minor)["/usr/local/bin/etcdctl"]) is (minor == "3.4")


@pytest.mark.parametrize(
    ("version", "go_on"),
    [("3.4.26", False), ("3.5.9", False), ("3.5.10", True), ("3.5.21", True), ("3.6.0-rc.1", True), ("3.7.3", True)],
)
def test_revisions_go_on_where_the_release_can_do_that(version: str, go_on: bool) -> None:
    assert etcd_snapshot.revisions_go_on(version) is go_on
    assert ("--bump-revision" in restore(version)) is go_on
    assert ("--mark-compacted" in restore(version)) is go_on, "etcdutl takes both or none"


# It keeps a database's revision as the text of the file, which is all that this is about.
ETCDUTL = """
told='{"hash":1,"revision":%s,"totalKey":3,"totalSize":512,"version":"3.7.0"}'
if [ "$2" = status ]; then printf "$told" "$(cat "$3")"; exit; fi
revision=$(cat "$3")
until [ "$1" = --bump-revision ]; do shift; done
echo $((revision + $2))
"""


@pytest.fixture(scope="module")
def etcdutl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return program(tmp_path_factory.mktemp("etcdutl"), "etcdutl", ETCDUTL) / "etcdutl"


def restored(etcdutl: Path, revision: object, now: datetime = NOW) -> subprocess.CompletedProcess[str]:
    """What a restore of a snapshot of that revision says: the new one."""
    snapshot = etcdutl.with_name("s.db")
    snapshot.write_text(str(revision))
    return shell(restore("3.7.3", now, str(snapshot)).replace("/usr/local/bin/etcdutl", str(etcdutl)))


@given(
    st.sampled_from([0, 1, 2, 3]),
    st.lists(st.tuples(st.integers(1, 10**7), st.integers(0, 10**5), st.integers(0, 9)), min_size=1, max_size=4),
)
@settings(max_examples=40, deadline=None)
def test_each_restore_goes_on_above_all_that_clients_have_seen(
    etcdutl: Path, by_earlier_checkouts: int, steps: list[tuple[int, int, int]]
) -> None:
    """
    + steps: seconds until a backup, writes a second until then, and which of all backups is then put back
    """
    seen, now, backups = 1_000_000, NOW, [1_000_000]
    for _ in range(by_earlier_checkouts):  # they added the time to the revision of the snapshot
        seen += int(now.timestamp()) * 1_000_000
        backups.append(seen)
    for seconds, writes, which in steps:
        now += timedelta(seconds=seconds)
        seen += seconds * writes
        backups.append(seen)
        after = int(restored(etcdutl, backups[which % len(backups)], now).stdout)
        assert seen < after < 2**53, "some clients read it as a floating-point number"
        seen = after


def test_all_members_go_on_with_the_same_revision_whatever_the_snapshots_is(etcdutl: Path) -> None:
    assert {int(restored(etcdutl, revision).stdout) for revision in (1, 2**30, 2**52)} == {
        2**52 + int(NOW.timestamp()) * 1_000_000
    }


def test_a_snapshot_that_is_above_the_clock_goes_on_by_one(etcdutl: Path) -> None:
    assert int(restored(etcdutl, 2**53).stdout) == 2**53 + 1


def test_nothing_is_made_of_a_snapshot_whose_revision_is_not_known(etcdutl: Path) -> None:
    done = restored(etcdutl, '"?"')
    assert done.returncode != 0 and not done.stdout
    assert f"is not in the status of {etcdutl.with_name('s.db')}" in done.stderr


WAYS = [
    ("3.4.26", "3.4.26", None),
    ("3.5.21", "3.5.9", None),
    ("3.4.26", "3.5.21", None),
    ("3.5.21", "3.6.16", None),
    ("", "3.7.3", None),
    ("3.4.26", "3.6.16", "set etcd_version to the newest of 3.5 first"),
    ("3.5.21", "3.7.3", "set etcd_version to the newest of 3.6 first"),
    ("3.6.16", "3.5.21", "set etcd_version to one of 3.6"),
]


@pytest.mark.parametrize(("has", "wanted", "told"), WAYS)
def test_etcd_goes_up_by_one_minor_at_a_time(has: str, wanted: str, told: str | None) -> None:
    minor = wanted.rpartition(".")[0]
    found = cluster(kubernetes_version=MINORS[minor], etcd_version=wanted)
    every = findings(Seen(found, {"m1": replace(SEEN, etcd_version=has)}))
    errors = [one.sentence() for one in every if one.check == "etcd-version"]
    assert len(errors) == (told is not None)
    for sentence in errors:
        assert sentence.startswith(f"m1: its data is of etcd {has}, and this run would start {wanted}; etcd ")
        assert told and told in sentence
