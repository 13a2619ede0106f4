"""Runs the shell of the facts on this machine, as on a host; some programs are stand-ins."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import FactBase

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes files of root's, as on a host")


def shell(command: str, stdin: str = "", programs: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command as pyinfra does, by sh; programs: a directory of stand-ins that come first."""
    path = f"{programs}:{os.environ['PATH']}" if programs else os.environ["PATH"]
    environment = {**os.environ, "PATH": path}
    return subprocess.run(
        ["sh", "-c", command], input=stdin, capture_output=True, text=True, env=environment, check=False
    )


def answer(
    fact: FactBase[Any], programs: Path | None = None, instead: Mapping[str, str] | None = None, **arguments: Any
) -> Any:
    """What a fact reads on this machine; instead: paths in its command -> the paths to read."""
    command = str(fact.command(**arguments))
    for there, here in (instead or {}).items():
        command = command.replace(there, here)
    ran = shell(command, programs=programs)
    assert ran.returncode == 0, f"a fact that fails takes the host out of the run: {ran.stderr}"
    lines = ran.stdout.splitlines()
    return fact.process(lines) if lines else fact.default()


def program(directory: Path, name: str, script: str) -> Path:
    """A stand-in for a program: the directory to put first in PATH."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return directory
