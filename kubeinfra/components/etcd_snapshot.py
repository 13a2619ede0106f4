"""The commands with which a snapshot of etcd is looked at and put back: etcdctl's of 3.4, etcdutl's from 3.5 on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from re import findall

from kubeinfra.components.etcd import EtcdMember, has_etcdutl
from kubeinfra.paths import ETCDCTL, ETCDUTL

# Source: etcd's CHANGELOG-3.5, "etcdutl: allow restoring with --bump-revision and --mark-compacted".
GOES_ON = (3, 5, 10)


def revisions_go_on(version: str) -> bool:
    """
    Whether a restore by this release of etcd counts revisions on. Then clients that watch from a later one than the
    snapshot has are told that it is compacted, and list again; else they would see nothing until it is reached again.
    """
    return tuple(map(int, findall(r"\d+", version)[:3])) >= GOES_ON


def status(path: str) -> str:
    """Shell that prints the status of a snapshot as JSON; by what is installed, which a setting may be ahead of."""
    return (
        f"{{ if [ -x {ETCDUTL} ]; then {ETCDUTL} snapshot status {path} -w json; "
        f"else {ETCDCTL} snapshot status {path} -w json; fi; }}"
    )


def restore(
    version: str, snapshot: str, data: str, member: EtcdMember, members: Iterable[EtcdMember], now: datetime
) -> str:
    """
    The command that makes a member's new data, in a directory that is not there yet, from a snapshot.

    + now: of all members the same: it is in the cluster's token, so that a member that was forgotten cannot join with
      its old data
    """
    initial_cluster = ",".join(f"{one.name}={one.peer_url}" for one in members)
    tool = ETCDUTL if has_etcdutl(version) else ETCDCTL
    return (
        f"{tool} snapshot restore {snapshot} --data-dir {data} --name {member.name} "
        f"--initial-cluster {initial_cluster} --initial-cluster-token etcd-cluster-{now:%Y%m%dT%H%M%SZ} "
        f"--initial-advertise-peer-urls {member.peer_url}{_further_on(now) if revisions_go_on(version) else ''}"
    )


def _further_on(now: datetime) -> str:
    """
    Revisions go on from the snapshot's plus as many as there are microseconds since 1970. Nobody writes so often: they
    are higher than any that a client has seen, also after an earlier restore, of this snapshot or of another.
    """
    return f" --bump-revision {int(now.timestamp() * 1_000_000)} --mark-compacted"
