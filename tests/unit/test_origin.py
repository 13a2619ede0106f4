"""Where a run comes from, as its record says it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kubeinfra.controller.origin import commit, user_and_host


def git(directory: Path, *arguments: str) -> None:
    identity = {f"GIT_{who}_{what}": "you" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", "-C", str(directory), *arguments], env={**os.environ, **identity}, check=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "deploy.py").write_text("")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "tag", "v1")
    return tmp_path


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    assert commit(checkout) == "v1"


def test_a_changed_file_is_told(checkout: Path) -> None:
    (checkout / "deploy.py").write_text("changed")
    assert commit(checkout) == "v1 + changes"


def test_a_copy_inside_of_another_checkout_is_none(checkout: Path) -> None:
    (checkout / "copy").mkdir()
    assert commit(checkout / "copy") is None


def test_without_git_there_is_none(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert commit(checkout) is None


def test_who_runs_it() -> None:
    name, _, host = user_and_host().partition("@")
    assert name and host
