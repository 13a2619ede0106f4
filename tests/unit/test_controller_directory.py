"""The controller's directory: reading creates nothing, writes are atomic, no damaged file is replaced."""

from __future__ import annotations

import fcntl
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from killing import killed_after

from kubeinfra.controller import directory as state_module
from kubeinfra.controller.directory import COMMON_NAMES, ControllerDirectory, SecretName
from kubeinfra.errors import KubeinfraError
from kubeinfra.pki.ca import CA
from kubeinfra.pki.keys import new_service_account_key

NOBODY = 65534
SECRETS: dict[SecretName, str] = {
    "bootstrap-token": "0123456789abcdef",
    "vrrp-password": "hunter2",
    "service-account-key": new_service_account_key(),
}
EXPIRED = CA.create("etcd-ca", years=1, now=datetime.now(UTC) - timedelta(days=400))


@pytest.fixture
def state(tmp_path: Path) -> ControllerDirectory:
    return ControllerDirectory(tmp_path / ".kubeinfra" / "demo")


@pytest.fixture
def full(state: ControllerDirectory) -> ControllerDirectory:
    """Everything that a deployed cluster has."""
    for name in COMMON_NAMES:
        state.create_ca(name, 10)
    for secret, value in SECRETS.items():
        state.create_secret(secret, value)
    state.write_admin_kubeconfig("kind: Config\n")
    return state


def tree(directory: Path) -> dict[str, tuple[int, bytes | None]]:
    """Every path below the directory with its mode and content."""
    return {
        str(path.relative_to(directory)): (
            stat.S_IMODE(path.lstat().st_mode),
            path.read_bytes() if path.is_file() else None,
        )
        for path in directory.rglob("*")
    }


def read_everything(state: ControllerDirectory) -> list[object]:
    return [
        *(state.ca(name) for name in COMMON_NAMES),
        *(state.secret(name) for name in SECRETS),
        state.admin_kubeconfig(),
    ]


def test_reading_an_absent_state_gives_none_and_creates_nothing(state: ControllerDirectory, tmp_path: Path) -> None:
    assert read_everything(state) == [None] * 7
    assert state.problems() == []
    assert list(tmp_path.iterdir()) == []


def test_reading_a_full_state_changes_nothing(full: ControllerDirectory, tmp_path: Path) -> None:
    before = tree(tmp_path)
    assert None not in read_everything(full)
    assert full.problems() == []
    assert tree(tmp_path) == before


def test_what_is_created_is_read_back(state: ControllerDirectory) -> None:
    for name, common_name in COMMON_NAMES.items():
        made = state.create_ca(name, 10)
        read = ControllerDirectory(state.directory).ca(name)
        assert read is not None
        assert (read.fingerprint, read.key_pem) == (made.fingerprint, made.key_pem)
        assert read.certificate.subject.rfc4514_string() == f"CN={common_name}"
    for secret, value in SECRETS.items():
        state.create_secret(secret, value)
        assert state.secret(secret) == value
    for text in ("kind: Config\n", "kind: Config\nusers: []\n"):
        state.write_admin_kubeconfig(text)
        assert state.admin_kubeconfig() == text


def test_every_directory_is_0700_and_every_file_0600(full: ControllerDirectory, tmp_path: Path) -> None:
    modes = {path: (content is None, mode) for path, (mode, content) in tree(tmp_path).items()}
    assert set(modes.values()) == {(True, 0o700), (False, 0o600)}, modes
    assert ".kubeinfra/demo/ca/etcd/ca-key.pem" in modes


def test_modes_do_not_depend_on_the_umask(state: ControllerDirectory, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        state.create_ca("etcd", 10)
        state.write_admin_kubeconfig("kind: Config\n")
    finally:
        os.umask(old)
    assert {mode for mode, _ in tree(tmp_path).values()} == {0o700, 0o600}


def test_files_are_private_from_the_start(state: ControllerDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    births: list[int] = []
    real = os.open

    def watched(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            births.append(mode)
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", watched)
    state.create_ca("etcd", 10)
    state.create_secret("bootstrap-token", "abc")
    state.write_admin_kubeconfig("kind: Config\n")
    assert births == [0o600] * 4


# --- never a second one


def test_nothing_is_created_a_second_time(full: ControllerDirectory, tmp_path: Path) -> None:
    before = tree(tmp_path)
    with pytest.raises(KubeinfraError, match="ca/etcd: is there already"):
        full.create_ca("etcd", 10)
    with pytest.raises(KubeinfraError, match="secrets/bootstrap-token: is there already"):
        full.create_secret("bootstrap-token", "another")
    assert tree(tmp_path) == before


CREATE_IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from kubeinfra.errors import KubeinfraError
from kubeinfra.controller.directory import ControllerDirectory
print("ready", flush=True)
sys.stdin.readline()
try:
    print(ControllerDirectory(Path(sys.argv[1])).create_ca("etcd", 10).fingerprint)
except KubeinfraError as error:
    print(error)
"""


def test_of_processes_that_start_together_one_creates_the_ca(state: ControllerDirectory) -> None:
    command = [sys.executable, "-c", CREATE_IN_ANOTHER_PROCESS, str(state.directory)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # communicate() would wait for one before it lets the next go
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate()[0].strip() for process in processes]
    ca = state.ca("etcd")
    assert ca is not None
    assert answers.count(ca.fingerprint) == 1, answers
    assert sum("is there already" in answer for answer in answers) == 2, answers


def test_the_lock_is_held_while_writing_and_no_longer(
    state: ControllerDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, held = os.fsync, []

    def watched(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            held.append(is_locked(state.directory))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    state.create_ca("etcd", 10)
    state.create_secret("bootstrap-token", "abc")
    state.write_admin_kubeconfig("kind: Config\n")
    assert held == [True] * 4
    assert not is_locked(state.directory)


def is_locked(directory: Path) -> bool:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@pytest.mark.parametrize("syncs", range(9))
def test_a_run_killed_while_creating_leaves_nothing_or_all(state: ControllerDirectory, syncs: int) -> None:
    survived = killed_after(syncs, lambda: state.create_ca("etcd", 10))
    assert survived == (syncs == 8), "each moment was tried, and there are no others"
    assert state.problems() == []
    if state.ca("etcd") is None:
        state.create_ca("etcd", 10)
    assert state.problems() == []
    assert [path.name for path in (state.directory / "ca").iterdir()] == ["etcd"]
    assert sorted(path.name for path in (state.directory / "ca/etcd").iterdir()) == ["ca-key.pem", "ca.pem"]


def test_an_older_kubeconfig_stays_until_the_new_one_is_whole(full: ControllerDirectory) -> None:
    assert not killed_after(1, lambda: full.write_admin_kubeconfig("kind: Config\nusers: []\n"))
    assert full.admin_kubeconfig() == "kind: Config\n"


# --- damage is an error that says what to do, and is left as it is


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def dangling(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("/not/mounted")


DAMAGE: list[tuple[str, Callable[[Path], object], str]] = [
    ("ca/etcd/ca-key.pem", Path.unlink, r"ca-key\.pem: is missing; restore it from a backup"),
    ("ca/etcd/ca.pem", Path.unlink, r"ca\.pem: is missing; restore it from a backup"),
    ("ca/etcd/ca-key.pem", half, r"ca-key\.pem: is not a readable private key"),
    ("ca/etcd/ca.pem", half, r"ca\.pem: is not a readable certificate"),
    ("ca/etcd/ca.pem", lambda path: path.write_bytes(b"\xff\xfe"), r"ca\.pem: is not text"),
    ("ca/etcd", dangling, "ca/etcd: is not a directory, or a link to one"),
    ("ca/etcd/ca-key.pem", dangling, r"ca-key\.pem: is missing"),
    (
        "ca/etcd/ca-key.pem",
        lambda path: path.chmod(0o640),
        r"ca-key\.pem: has mode 0640.*chmod go= ",
    ),
    ("ca/etcd", lambda path: path.chmod(0o750), "ca/etcd: has mode 0750.*chmod go= "),
    ("ca", lambda path: path.chmod(0o755), "ca: has mode 0755.*chmod go= "),
    ("secrets/bootstrap-token", lambda path: path.write_text("\n"), "bootstrap-token: is empty; restore"),
    ("secrets/bootstrap-token", lambda path: path.chmod(0o604), "bootstrap-token: has mode 0604"),
    ("secrets/service-account-key", half, "service-account-key: is not a readable private key"),
    ("secrets/vrrp-password", dangling, "vrrp-password: is missing; restore it from a backup"),
    ("admin.kubeconfig", lambda path: path.chmod(0o644), r"admin\.kubeconfig: has mode 0644"),
]


@pytest.mark.parametrize(("damaged", "damage", "message"), DAMAGE)
def test_each_damage_is_one_problem_and_nothing_is_replaced(
    full: ControllerDirectory, tmp_path: Path, damaged: str, damage: Callable[[Path], object], message: str
) -> None:
    damage(full.directory / damaged)
    before = tree(tmp_path)
    [problem] = full.problems()
    assert re.search(message, problem)
    with pytest.raises(KubeinfraError, match=message):
        read_everything(full)
    for create in (
        lambda: full.create_ca("etcd", 10),
        lambda: full.create_secret("vrrp-password", "x"),
    ):
        with pytest.raises(KubeinfraError):
            create()
    assert tree(tmp_path) == before


def test_several_damages_are_all_named(full: ControllerDirectory) -> None:
    half(full.directory / "ca/etcd/ca-key.pem")
    half(full.directory / "ca/kubernetes/ca.pem")
    (full.directory / "secrets/vrrp-password").chmod(0o644)
    assert len(full.problems()) == 3


def test_keys_of_two_cas_mixed_up_are_an_error(full: ControllerDirectory) -> None:
    cas = full.directory / "ca"
    (cas / "etcd/ca-key.pem").replace(cas / "kubernetes/ca-key.pem")
    assert len(full.problems()) == 2
    with pytest.raises(KubeinfraError, match=r"kubernetes/ca-key\.pem: is not the key of ca\.pem next to it"):
        full.ca("kubernetes")


def test_a_directory_open_to_others_is_named_once(full: ControllerDirectory) -> None:
    full.directory.chmod(0o755)
    assert full.problems() == [
        f"{full.directory}: has mode 0755, so that other users may read it; "
        f"if none of them did, run: chmod go= {full.directory}"
    ]
    subprocess.run(["chmod", "go=", full.directory], check=True)
    assert full.problems() == []


def test_a_state_on_a_disk_that_is_not_mounted_is_not_a_new_cluster(state: ControllerDirectory) -> None:
    state.directory.parent.mkdir()
    state.directory.symlink_to("/not/mounted")
    with pytest.raises(KubeinfraError, match="demo: is not a directory, or a link to one that is not there"):
        state.ca("etcd")
    with pytest.raises(KubeinfraError):
        state.create_ca("etcd", 10)


def test_an_expired_ca_is_a_problem(full: ControllerDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module.CA, "create", lambda name, years: EXPIRED)
    (full.directory / "ca/etcd").rename(full.directory / "gone")
    full.create_ca("etcd", 1)
    [problem] = full.problems()
    assert f"etcd/ca.pem: ended on {EXPIRED.ends:%F}" in problem


def test_a_line_end_from_an_editor_is_not_part_of_a_secret(state: ControllerDirectory) -> None:
    state.create_secret("bootstrap-token", "0123456789abcdef\n")
    assert state.secret("bootstrap-token") == "0123456789abcdef"


@contextmanager
def another_user() -> Iterator[None]:
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user for a moment")
@pytest.mark.parametrize("path", ["", "ca/etcd/ca-key.pem", "ca"])
def test_what_may_not_be_read_is_an_error_and_not_an_absence(
    full: ControllerDirectory, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a relative path needs no rights on the directories above
    directory = full.directory.relative_to(tmp_path)
    for owned in (tmp_path, *tmp_path.rglob("*")):
        os.chown(owned, NOBODY, NOBODY)
    os.chown(directory / path, 0, 0)
    state = ControllerDirectory(directory)
    with (
        another_user(),
        pytest.raises(KubeinfraError, match=r"cannot be read \(permission denied\); .*owns it"),
    ):
        state.ca("etcd")
    with another_user():
        problems = state.problems()
    assert problems
    assert all("cannot be read (permission denied)" in problem for problem in problems), problems
