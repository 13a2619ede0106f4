"""Snapshots of etcd as files: their names, whether one is complete, and which are old enough to be removed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from kubeinfra.artifacts.digests import hash_file
from kubeinfra.errors import KubeinfraError, file_errors

_BLOCK = 1 << 20


def name(cluster_name: str, now: datetime) -> str:
    """Such as "etcd-kubernetes-20260131T235959Z.db": names in order are snapshots in order of time (UTC)."""
    return f"etcd-{cluster_name}-{now:%Y%m%dT%H%M%SZ}.db"


def cluster_of(file_name: str) -> str | None:
    """The cluster whose name is in it; None if the file has another kind of name."""
    # The time is matched too: cluster "lab" has nothing to do with the snapshots of a cluster "lab-2".
    found = re.fullmatch(r"etcd-(.+)-\d{8}T\d{6}Z\.db", file_name)
    return found[1] if found else None


def too_old(names: Iterable[str], cluster_name: str, keep: int) -> list[str]:
    """Names of this cluster's snapshots beyond the `keep` newest; other files are never named."""
    return sorted(one for one in names if cluster_of(one) == cluster_name)[:-keep]


def digest_file(snapshot: Path) -> Path:
    """The file next to a snapshot on the controller that holds its SHA-256, in the form of sha256sum(1)."""
    return snapshot.with_name(snapshot.name + ".sha256")


def file_digest(path: Path) -> str:
    """SHA-256 in hex."""
    return hash_file(path, "sha256").removeprefix("sha256:")


def check(snapshot: Path) -> str:
    """
    SHA-256 of a snapshot that may be restored; KubeinfraError for one that may not.

    `etcdctl snapshot save` ends the file with the SHA-256 of all before it (etcd, clientv3/snapshot), and the
    database before that is a whole number of 512-byte sectors; a file copied from a data directory lacks both.
    """
    if not snapshot.is_file():
        raise KubeinfraError(f"{snapshot}: no such snapshot; name a file that day2/backup.py has made")
    size = snapshot.stat().st_size
    if size % 512 != 32:
        raise KubeinfraError(f"{snapshot}: is cut off, or not made by `etcdctl snapshot save`; take another one")
    content, end = _content_digest_and_end(snapshot, size - 32)
    if content != end:
        raise KubeinfraError(f"{snapshot}: its content does not match the digest at its end; take another one")
    found, recorded = file_digest(snapshot), digest_file(snapshot)
    wanted = recorded.read_text().partition(" ")[0].strip() if recorded.is_file() else found
    if found != wanted:
        raise KubeinfraError(f"{snapshot}: SHA-256 is {found}, {recorded.name} says {wanted}; take another one")
    return found


def _content_digest_and_end(path: Path, length: int) -> tuple[bytes, bytes]:
    """SHA-256 of the first `length` bytes, and what follows them."""
    found = sha256()
    with file_errors(path, "read"), path.open("rb") as file:
        while length > 0 and (block := file.read(min(_BLOCK, length))):
            found.update(block)
            length -= len(block)
        return found.digest(), file.read()
