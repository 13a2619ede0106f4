"""Snapshots of etcd: taken on a member, kept there and on the controller, and put back."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from shlex import quote

from pyinfra import host, state
from pyinfra.api import FileDownloadCommand, FileUploadCommand, FunctionCommand, QuoteString, StringCommand, operation

from kubeinfra.atomic import part_of, whole_path, write_whole
from kubeinfra.components.etcd import EtcdMember
from kubeinfra.components.etcd_snapshot import restore, status
from kubeinfra.controller import snapshots
from kubeinfra.facts.health import Succeeds
from kubeinfra.facts.snapshots import Digest
from kubeinfra.machine.shell import flush
from kubeinfra.operations.gates import failure
from kubeinfra.operations.rolling import turn
from kubeinfra.paths import ETCDCTL
from kubeinfra.run.controller import controller
from kubeinfra.run.inventory import as_pyinfra_error, cluster
from kubeinfra.run.plan import announce, note

Commands = Generator[StringCommand | FileDownloadCommand | FileUploadCommand | FunctionCommand, None, None]
DATA = "/var/lib/etcd/default.etcd"
RESTORE = "/var/lib/etcd/restore.db"
RESTORED = f"{DATA}.restored"
# On the way between controller and machine a snapshot is the connecting user's, and nobody else may read it.
EXCHANGE = "/var/lib/kubeinfra-exchange"
_OPEN_EXCHANGE = f'rm -rf {EXCHANGE}; install -d -m 700 -o "${{SUDO_UID:-0}}" {EXCHANGE}'
_snapshot_taken_in: set[bool] = set()  # False: the plan, True: the run has found a member that gives a snapshot


def backups() -> Path:
    """Directory of the controller's copies."""
    return controller().directory / "backups"


@operation(is_idempotent=False)
def take(member: EtcdMember) -> Commands:
    """
    Take a snapshot from this member, if it is healthy and no other member gave one in this run.

    + member: this host's; the snapshot stays in backup_dir, and a copy comes to the controller
    """
    if not state.is_executing:
        yield from _take(member)
        return
    with turn(at_once=1) as mine:
        yield from (
            _take(member) if mine.take() else [failure(f"{member.name}: no snapshot, as {mine.failed} has failed")]
        )


def _take(member: EtcdMember) -> Commands:
    if state.is_executing in _snapshot_taken_in:
        host.noop("another member has given a snapshot")
        return
    etcdctl = f"ETCDCTL_ENDPOINTS={member.client_url} {ETCDCTL}"
    if not host.get_fact(Succeeds, probe=f"{etcdctl} endpoint health"):
        note(f"{member.name} is not healthy; another member must give the snapshot")
        return
    settings = cluster().settings
    name = snapshots.name(settings.cluster_name, datetime.now(UTC))
    path = f"{settings.backup_dir}/{name}"
    announce(f"snapshot of {member.name} -> {path} and {backups() / name}")
    _snapshot_taken_in.add(state.is_executing)
    yield StringCommand("sh", "-ec", QuoteString(_save(etcdctl, settings.backup_dir, path, settings.backup_keep)))
    digest: str = host.get_fact(Digest, path=path)
    yield from _bring(path, backups() / name, digest)
    for old in snapshots.too_old(
        (file.name for file in backups().iterdir()), settings.cluster_name, settings.backup_keep
    ):
        announce(f"remove {backups() / old}")
        snapshots.digest_file(backups() / old).unlink(missing_ok=True)
        (backups() / old).unlink()


@operation()
def require_taken() -> Commands:
    """Fail if no member gave a snapshot."""
    if state.is_executing not in _snapshot_taken_in:
        yield failure(
            "no etcd member is healthy, so none could give a snapshot; see `etcdctl endpoint health --cluster` and "
            "`journalctl -u etcd` on the members"
        )


def _save(etcdctl: str, directory: str, path: str, keep: int) -> str:
    """`snapshot status` fails for a file that is no snapshot; one without a key is none worth keeping."""
    pattern = f"{directory}/etcd-{cluster().settings.cluster_name}-????????T??????Z.db"
    return (
        # What a run left behind that was cut off has its time in the name, and would stay for ever.
        f"umask 077; mkdir -p {directory}; rm -f {pattern}.part*; "
        f"{etcdctl} snapshot save {path}.part >/dev/null 2>&1 || {etcdctl} snapshot save {path}.part >&2; "
        f"keys=$({status(f'{path}.part')} | sed -n 's/.*\"totalKey\":\\([0-9]*\\).*/\\1/p'); "
        f'[ "${{keys:-0}}" -gt 0 ] || {{ echo "{path}.part holds no key" >&2; exit 1; }}; '
        f"{flush(f'{path}.part')}; mv {path}.part {path}; "
        f"printf '%s\\n' {pattern} | head -n -{keep} | xargs -r rm -f"
    )


def _bring(remote: str, local: Path, digest: str) -> Commands:
    local.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left_behind in local.parent.glob(part_of(Path("etcd-*")).name):
        left_behind.unlink()
    with whole_path(local, 0o600) as part:
        yield StringCommand(
            "sh",
            "-ec",
            QuoteString(f'{_OPEN_EXCHANGE}; install -m 600 -o "${{SUDO_UID:-0}}" {remote} {EXCHANGE}/snapshot'),
        )
        yield FileDownloadCommand(f"{EXCHANGE}/snapshot", str(part), _sudo=False)
        yield StringCommand("rm", "-rf", EXCHANGE)
        if snapshots.file_digest(part) != digest:
            yield failure(f"{local.name} arrived damaged on the controller; run again")
        write_whole(snapshots.digest_file(local), f"{digest}  {local.name}\n")


@operation(is_idempotent=False)
def send(snapshot: Path, digest: str) -> Commands:
    """
    Bring a snapshot to a member and look at it there, before anything is stopped.

    + snapshot: on the controller; + digest: its SHA-256 in hex
    """
    announce(f"send {snapshot.name} to {RESTORE}")
    yield StringCommand("sh", "-ec", QuoteString(f"{_room_for(snapshot.stat().st_size)}; {_OPEN_EXCHANGE}"))
    yield FileUploadCommand(str(snapshot), f"{EXCHANGE}/snapshot", _sudo=False)
    yield StringCommand(
        "sh",
        "-ec",
        QuoteString(
            f"trap 'rm -rf {EXCHANGE}' EXIT; install -m 600 -o root -g root {EXCHANGE}/snapshot {RESTORE}; "
            f"echo '{digest}  {RESTORE}' | sha256sum --check --quiet; "
            f"{status(RESTORE)} >/dev/null"
        ),
    )


def _room_for(size: int) -> str:
    """Shell that fails if the disk, to which etcd is still writing, has no room for three copies and etcd's log."""
    wanted = 3 * size + (256 << 20)
    return (
        f'free=$(df --output=avail -B1 /var/lib/etcd | tail -n 1); [ "$free" -gt {wanted} ] || '
        f'{{ echo "{host.name}: /var/lib/etcd has $free bytes free, a restore needs {wanted}: make room" >&2; '
        "exit 1; }"
    )


@lru_cache
def _this_run() -> datetime:
    """The same moment for all hosts of a run."""
    return datetime.now(UTC)


@operation(is_idempotent=False)
def unpack(member: EtcdMember, members: Sequence[EtcdMember]) -> Commands:
    """
    Make new data for this member from the snapshot, next to the data that it has: a full disk is found before
    anything is stopped.

    + member: this host's; + members: all of them
    """
    version = cluster().etcd_version
    command = restore(version, RESTORE, RESTORED, member, members, _this_run())
    failed = f"nothing was stopped; if {member.name} has another etcd than {version}, run tasks/etcd.py first"
    announce(f"make new data for {member.name} from {RESTORE}")
    yield StringCommand(
        "sh",
        "-ec",
        QuoteString(
            f"umask 077; rm -rf {RESTORED}; said=$({command} 2>&1) || {{ "
            f"rm -rf {RESTORED} {RESTORE}; printf '%s\\n' \"$said\" {quote(failed)} >&2; exit 1; }}; "
            f"sync; rm {RESTORE}"
        ),
    )


@operation(is_idempotent=False)
def swap() -> Commands:
    """Give this stopped member its new data; the old is kept aside."""
    aside = f"{DATA}.before-restore-{_this_run():%Y%m%dT%H%M%SZ}"
    yield FunctionCommand(controller().forget_etcd_cluster, (), {})
    announce(f"{RESTORED} becomes {DATA}; the old data goes to {aside}")
    yield StringCommand(
        "sh", "-ec", QuoteString(f"if [ -e {DATA} ]; then mv -T {DATA} {aside}; fi; mv -T {RESTORED} {DATA}")
    )


@lru_cache
def checked(path: Path) -> str:
    """SHA-256 of a snapshot fit to be restored; what is wrong with it ends the run."""
    with as_pyinfra_error():
        return snapshots.check(path)
