"""Snapshots: only old ones of this cluster are removed; a damaged one is not restored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from artifact_files import problem

from kubeinfra.controller import snapshots

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
CONTENT = bytes(range(256)) * 64  # whole sectors of 512 bytes
WHOLE = CONTENT + sha256(CONTENT).digest()


def named(cluster: str, count: int) -> list[str]:
    """A snapshot a day, from the oldest to the newest."""
    return [snapshots.name(cluster, NEW_YEAR + timedelta(days=day)) for day in range(count)]


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A good one, with its digest next to it, as a backup leaves them."""
    path = tmp_path / snapshots.name("lab", NEW_YEAR)
    path.write_bytes(WHOLE)
    snapshots.digest_file(path).write_text(f"{sha256(WHOLE).hexdigest()}  {path.name}\n")
    return path


def test_a_name_says_cluster_and_time() -> None:
    assert snapshots.name("lab", NEW_YEAR) == "etcd-lab-20260101T000000Z.db"


@pytest.mark.parametrize(("keep", "gone"), [(1, 4), (3, 2), (5, 0), (9, 0)])
def test_the_oldest_beyond_those_to_keep_are_too_old(keep: int, gone: int) -> None:
    ours = named("lab", 5)
    assert snapshots.too_old(reversed(ours), "lab", keep) == ours[:gone]


def test_files_that_are_not_this_clusters_snapshots_are_never_too_old() -> None:
    others = [
        *named("lab-2", 3),
        *named("my-lab", 3),
        *(f"{name}.sha256" for name in named("lab", 3)),
        *(f".{name}.part" for name in named("lab", 3)),
        "etcd-lab-before-the-upgrade-Z.db",
        "notes.txt",
    ]
    ours = named("lab", 2)
    assert snapshots.too_old([*others, *ours], "lab", 1) == ours[:1]


def test_a_dot_in_a_clusters_name_stands_for_itself() -> None:
    assert snapshots.too_old(named("lab-x", 3), "lab.x", 1) == []


def test_a_good_snapshot_is_known_by_its_digest(snapshot: Path) -> None:
    assert snapshots.check(snapshot) == snapshots.file_digest(snapshot) == sha256(WHOLE).hexdigest()


def test_the_digest_file_may_be_absent(snapshot: Path) -> None:
    snapshots.digest_file(snapshot).unlink()
    assert snapshots.check(snapshot) == sha256(WHOLE).hexdigest()


def end_is_wrong(path: Path) -> None:
    path.write_bytes(CONTENT + bytes(32))


def content_is_wrong(path: Path) -> None:
    path.write_bytes(b"x" + WHOLE[1:])


def a_sector_is_missing(path: Path) -> None:
    path.write_bytes(WHOLE[512:])


def digest_file_with_another_digest(path: Path) -> None:
    snapshots.digest_file(path).write_text(f"{'0' * 64}  {path.name}\n")


def empty_digest_file(path: Path) -> None:
    snapshots.digest_file(path).write_text("")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (Path.unlink, "no such snapshot; name a file that day2/backup.py has made"),
        (lambda path: path.write_bytes(b""), "is cut off, or not made by"),
        (lambda path: path.write_bytes(WHOLE[:-1]), "is cut off, or not made by"),
        (lambda path: path.write_bytes(CONTENT), "is cut off, or not made by"),
        (end_is_wrong, "does not match the digest at its end"),
        (content_is_wrong, "does not match the digest at its end"),
        (a_sector_is_missing, "does not match the digest at its end"),
        (
            digest_file_with_another_digest,
            f"SHA-256 is {sha256(WHOLE).hexdigest()}, etcd-lab-20260101T000000Z.db.sha256 says 000",
        ),
        (empty_digest_file, "etcd-lab-20260101T000000Z.db.sha256 says ; take another one"),
    ],
    ids=[
        "none",
        "empty",
        "cut off",
        "from a data directory",
        "end",
        "content",
        "sector",
        "digest file",
        "empty digest file",
    ],
)
def test_what_may_not_be_restored_is_an_error(snapshot: Path, damage: Callable[[Path], object], told: str) -> None:
    damage(snapshot)
    message = problem(lambda: snapshots.check(snapshot))
    assert message.startswith(f"{snapshot}: ")
    assert told in message
