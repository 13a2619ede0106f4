"""The commands with which a snapshot of etcd is looked at and put back: etcdctl's of 3.4, etcdutl's from 3.5 on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from re import findall

from kubeinfra.components.etcd import EtcdMember, has_etcdutl
from kubeinfra.paths import ETCDCTL, ETCDUTL

# Source: etcd's CHANGELOG-3.5, "etcdutl: allow restoring with --bump-revision and --mark-compacted".
GOES_ON = (3, 5, 10)
# Above what earlier checkouts have given, which added the time to the snapshot's revision: one restore gave 1.8e15,
# the next of what came of it 3.5e15, the third 5.3e15.
_FLOOR = 2**52


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
    Shell that makes a member's new data, in a directory that is not there yet, from a snapshot.

    + now: of all members the same: it is in the cluster's token, so that a member that was forgotten cannot join with
      its old data, and in the revision with which they go on
    """
    initial_cluster = ",".join(f"{one.name}={one.peer_url}" for one in members)
    tool = ETCDUTL if has_etcdutl(version) else ETCDCTL
    before, more = "", ""
    if revisions_go_on(version):
        before = f"bump=$({_bump(snapshot, now)}) && "
        more = ' --bump-revision "$bump" --mark-compacted'
    return (
        f"{before}{tool} snapshot restore {snapshot} --data-dir {data} --name {member.name} "
        f"--initial-cluster {initial_cluster} --initial-cluster-token etcd-cluster-{now:%Y%m%dT%H%M%SZ} "
        f"--initial-advertise-peer-urls {member.peer_url}{more}"
    )


def _bump(snapshot: str, now: datetime) -> str:
    """
    Shell that prints by how much a restore raises the snapshot's revision: to 2^52 plus the microseconds since 1970,
    whatever the snapshot's is. Nobody writes so often: that is above all that a client has seen, also after earlier
    restores, of whichever snapshot.

    It is not if the controller's clock is behind that of an earlier restore, or if more than three by earlier checkouts
    have followed from each other; a snapshot that is above it already goes on by 1. Until 2112 it is below 2^53, up to
    which floating-point numbers are exact.
    """
    aim = _FLOOR + int(now.timestamp() * 1_000_000)
    return (
        f"revision=$({status(snapshot)} | sed -n 's/.*\"revision\":\\([0-9]*\\).*/\\1/p'); "
        f"bump=$(({aim} - ${{revision:?is not in the status of {snapshot}}})); "
        '[ "$bump" -gt 0 ] || bump=1; echo "$bump"'
    )
