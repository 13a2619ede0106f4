"""Installing packages: waits for others, goes on without a dead repository, and says what it could not do."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from local_machine import program, shell

from kubeinfra.machine.packages import UNREACHED, install, nobody_installs


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """apt-get, dpkg, dnf that note what they are asked; a file of their name in `fails` says what they answer."""
    (tmp_path / "fails").mkdir()
    for name in ("apt-get", "dpkg", "dnf"):
        says = (
            f'echo "{name} $*" >>{tmp_path}/asked; '
            f'for word in {name} "$@"; do file={tmp_path}/fails/$word; [ ! -f "$file" ] || '
            '{ cat "$file"; [ ! -f "$file.once" ] || rm "$file"; exit 100; }; done'
        )
        program(tmp_path / "programs", name, says)
    program(tmp_path / "programs", "sleep", "exit 0")
    return tmp_path / "programs"


def run(tmp_path: Path, programs: Path, family: str = "debian") -> tuple[int, str, list[str]]:
    command = (
        install(family, ["socat", "curl"])
        .replace(UNREACHED, f"{tmp_path}/unreached")
        .replace("/run/", f"{tmp_path}/run/")
    )
    done = shell(f"set -e; {command}", programs=programs)
    return done.returncode, done.stderr, (tmp_path / "asked").read_text().splitlines()


def test_apt_finishes_what_was_cut_off_and_removes_nothing(tmp_path: Path, programs: Path) -> None:
    code, _, asked = run(tmp_path, programs)
    assert code == 0
    assert asked[0] == "dpkg --force-confold --configure -a"
    assert asked[1].endswith(" update")
    assert "--no-remove install --no-install-recommends socat curl" in asked[2]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("dpkg", "dpkg: error: dpkg frontend lock was locked by another process with pid 7"),
        ("dpkg", "dpkg: error: dpkg status database is locked by another process"),
        ("update", "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"),
        ("install", "E: Could not get lock /var/cache/apt/archives/lock - open (11: unavailable)"),
    ],
)
def test_a_lock_is_waited_for(tmp_path: Path, programs: Path, where: str, words: str) -> None:
    (tmp_path / "fails" / where).write_text(words)
    (tmp_path / "fails" / f"{where}.once").touch()
    code, _, asked = run(tmp_path, programs)
    assert (code, len(asked)) == (0, 4), "that one is asked twice"


def test_a_lock_that_is_never_let_go_is_named(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "fails" / "dpkg").write_text("dpkg: error: dpkg frontend lock was locked by another process with pid 7")
    now = tmp_path / "now"
    program(programs, "date", f"echo x >>{now}; echo $(($(wc -l <{now}) * 400))")
    code, said, _ = run(tmp_path, programs)
    assert code == 1
    assert "locked by another process with pid 7" in said


def test_what_is_broken_is_not_waited_for(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "fails" / "dpkg").write_text("dpkg: error processing package x (--configure)")
    code, said, asked = run(tmp_path, programs)
    assert (code, len(asked)) == (1, 1)
    assert "error processing package x" in said


DEAD = "Err:1 http://dead x\nE: The repository 'http://dead x Release' does not have a Release file.\n"


def test_a_dead_repository_is_noted_and_the_rest_is_installed(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "fails" / "update").write_text(DEAD)
    code, _, asked = run(tmp_path, programs)
    assert (code, len(asked)) == (0, 3)
    assert (tmp_path / "unreached").read_text() == DEAD.splitlines(keepends=True)[1]


def test_if_what_is_needed_cannot_be_had_both_are_told(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "fails" / "update").write_text(DEAD)
    (tmp_path / "fails" / "install").write_text("E: Unable to locate package socat")
    code, said, _ = run(tmp_path, programs)
    assert code == 1
    assert "Unable to locate package socat" in said
    assert "http://dead" in said


def test_dnf_goes_on_without_a_dead_repository(tmp_path: Path, programs: Path) -> None:
    code, _, asked = run(tmp_path, programs, "redhat")
    assert (code, asked) == (0, ["dnf -q -y --setopt=*.skip_if_unavailable=1 install socat curl"])


def free(family: str, **instead: str) -> tuple[int, str]:
    command = nobody_installs(family)
    for path, own in instead.items():
        command = command.replace({"lock": "/var/lib/dpkg/lock-frontend", "pid": "/run/yum.pid"}[path], own)
    done = shell(command)
    return done.returncode, done.stdout


def test_who_holds_a_lock_of_dpkg_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    assert free("debian", lock=str(lock)) == (0, "")
    with lock.open("w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        name = Path("/proc/self/comm").read_text().strip()
        assert free("debian", lock=str(lock)) == (1, f"process {os.getpid()} ({name}) holds {lock}\n")
    assert free("debian", lock=str(lock)) == (0, "")


def test_who_is_at_work_with_yum_is_named(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    file.write_text("99999999\n")
    assert free("redhat", pid=str(file))[0] == 0, "a process that has ended long ago"
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    file.write_text(f"{sleeper.pid}\n")
    code, said = free("redhat", pid=str(file))
    sleeper.communicate(b"\n")
    assert code == 1
    assert said.startswith(f"process {sleeper.pid} (")
