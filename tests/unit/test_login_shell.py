"""Commands reach sh unchanged through every login shell, and what such a shell prints is no part of an answer."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyinfra.connectors import util
from pyinfra.connectors.ssh import SSHConnector

from kubeinfra.run.replaced import login_shell
from kubeinfra.run.replaced.login_shell import ASKPASS, BEGIN, answer, for_any_shell

COMMAND = """\
for word in 'a\\\\b' "c!d" 'it'"'"'s' "$(printf '%s' "$HOME")"; do
    printf '%s\\n' "$word"
done; cat; echo "$LC_ALL"; exit 3"""
SHELLS = ["sh", "bash", "dash", "zsh", "tcsh", "csh", "bsd-csh", "fish"]


def run(shell: str, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As sshd does: the login shell gets the command as one argument, and the standard input goes on to the command."""
    said = {"PATH": os.environ["PATH"], "HOME": "/home/you", "LANG": "zh_CN.UTF-8", **environment}
    return subprocess.run(
        [shell, "-c", for_any_shell(command)], input="data\n", env=said, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("shell", [one for one in SHELLS if shutil.which(one)])
@pytest.mark.parametrize("length", [0, 50_000, 120_000])
def test_a_command_arrives_unchanged(shell: str, length: int) -> None:
    ran = run(shell, f"long={'x' * length}; {COMMAND}")
    assert list(answer(ran.stdout.splitlines())) == ["a\\\\b", "c!d", "it's", "/home/you", "data", "C"]
    assert ran.returncode == 3


@pytest.mark.parametrize(
    "said", [{"LANG": "zh_CN.UTF-8"}, {"LC_ALL": "de_DE.UTF-8"}, {"LANGUAGE": "fr:en", "LC_MESSAGES": "fr_FR.UTF-8"}]
)
def test_programs_speak_english(said: dict[str, str]) -> None:
    ran = run("sh", 'echo "$LC_ALL"; ls /nowhere 2>&1', **said)
    assert list(answer(ran.stdout.splitlines())) == ["C", "ls: cannot access '/nowhere': No such file or directory"]


def test_a_machine_that_cannot_decode_it_says_so_and_fails(tmp_path: Path) -> None:
    for name in ("env", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    said = subprocess.run(["/bin/sh", "-c", for_any_shell("true")], env={"PATH": str(tmp_path)}, capture_output=True)
    assert said.returncode == 127
    assert b"base64 or gzip is missing" in said.stderr


@given(st.text(min_size=1, max_size=3000))
def test_no_shell_reads_anything_into_it(command: str) -> None:
    """Between single quotes csh still sees "!" and line breaks, and fish backslashes; BSD's csh has short words."""
    sent = for_any_shell(command)
    assert re.fullmatch(r"""exec env LC_ALL=C sh -c '[\w :";$@|=%().&>{}\[\]-]+' sh [\w+/= ]*""", sent, re.ASCII), sent
    assert max(len(word) for word in sent.split()) <= 1000


@pytest.mark.parametrize(
    "greeting",
    ["echo Welcome", "printf 'Last login: today, no line break'", "echo 'uid=1000'; echo; echo 'package ünïcode'"],
    ids=["echo in .bashrc", "no line break", "lines that look like an answer"],
)
def test_a_shell_that_prints_adds_nothing_to_an_answer(greeting: str, tmp_path: Path) -> None:
    rc = tmp_path / "rc"
    rc.write_text(greeting)
    ran = run("bash", "echo uid=0; echo name", BASH_ENV=str(rc))
    assert "uid=0" not in ran.stdout.split("\n")[0], "it should have printed first"
    assert list(answer(ran.stdout.splitlines(keepends=True))) == ["uid=0\n", "name\n"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([f"{BEGIN}\n"], []),
        ([f"{BEGIN}\r\n", "x\r\n"], ["x\r\n"]),  # a terminal's line ends
        (["This account is currently not available.\n"], ["This account is currently not available.\n"]),
        ([f"{BEGIN}\n", "a\n", f"{BEGIN}\n", "b\n"], ["a\n", f"{BEGIN}\n", "b\n"]),
    ],
)
def test_what_comes_before_the_answer_is_shown_only_if_there_is_none(
    lines: Sequence[str], expected: Sequence[str]
) -> None:
    assert list(answer(lines)) == expected


def test_what_it_replaces_is_there() -> None:
    """On pyinfra's own names, which another release of it may have given to something else."""
    assert {"exec_command"} <= set(dir(login_shell.SSHClient))
    assert "{0}" in util.ASKPASS_COMMAND
    assert "{1}" in util.ASKPASS_COMMAND
    assert SSHConnector._put_file is login_shell._by_sftp, "a test of pure code replaces nothing of pyinfra's"


def askpass(temporary: str, programs: Path, home: Path) -> subprocess.CompletedProcess[str]:
    command = ASKPASS.format(temporary, "PYINFRA_SUDO_PASSWORD")
    said = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(home), "PYINFRA_SUDO_PASSWORD": "it's \\a secret"}
    return subprocess.run(["sh", "-c", command], env=said, capture_output=True, text=True, check=False)


def noexec(programs: Path, *directories: Path) -> Path:
    """A chmod that changes nothing in these directories, which then hold no program that runs."""
    programs.mkdir()
    cases = "|".join(f"{directory}/*" for directory in directories) or "none"
    chmod = programs / "chmod"
    chmod.write_text(f'#!/bin/sh\ncase $2 in {cases}) ;; *) exec {shutil.which("chmod")} "$@" ;; esac\n')
    chmod.chmod(0o755)
    return programs


@pytest.mark.parametrize("case", ["it runs there", "/tmp is noexec", "_temp_dir does not exist"])
def test_the_program_with_sudos_password_is_where_it_runs(case: str, tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    if case != "_temp_dir does not exist":
        temporary.mkdir()
    programs = noexec(tmp_path / "programs", *([temporary] if case == "/tmp is noexec" else []))
    ran = askpass(str(temporary), programs, home)
    program = Path(ran.stdout.strip())
    assert program.parent == (temporary if case == "it runs there" else home), ran.stderr
    assert subprocess.check_output([program], env={"PYINFRA_SUDO_PASSWORD": "p'$w"}, text=True) == "p'$w\n"
    assert "secret" not in program.read_text()
    if temporary.exists():
        assert not [one for one in temporary.iterdir() if one != program], "what does not run should be gone"


def test_a_machine_on_which_it_runs_nowhere_is_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    programs = noexec(tmp_path / "programs", home, Path("/tmp"), Path("/var/tmp"), Path("/run/user"), Path("/dev/shm"))
    ran = askpass("/nowhere", programs, home)
    assert ran.returncode == 1
    assert not ran.stdout
    assert "_temp_dir in group_data/all.py" in ran.stderr
