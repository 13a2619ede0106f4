"""Programs that run for a while, with a sign of life."""

from __future__ import annotations

import os
import subprocess
from collections import deque

from rich.text import Text

from kubeinfra.errors import KubeinfraError
from lab.console import Phase

# The classic builder is the one that every engine has.
ENVIRONMENT = {**os.environ, "DOCKER_BUILDKIT": "0", "DEBIAN_FRONTEND": "noninteractive"}
_REASON_LINES = 8


def run(phase: Phase, *command: str) -> None:
    """
    Run a program to its end; what it says becomes notes of the phase.

    Raises KubeinfraError with the last lines that it said.
    """
    said: deque[str] = deque(maxlen=_REASON_LINES)
    with subprocess.Popen(
        command,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as program:
        for line in program.stdout or ():
            said.append(Text.from_ansi(line).plain.rstrip())
            phase.note(said[-1])
    if program.returncode:
        raise KubeinfraError("\n".join([f"{' '.join(command[:2])} ended with {program.returncode}:", *said]))
