"""The one way from here to the Docker engine: its command-line client."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from kubeinfra.errors import KubeinfraError
from lab.process import ENVIRONMENT


def docker(*arguments: str, stdin: bytes = b"", timeout: float | None = None) -> str:
    """
    Run `docker <arguments>`, give its standard output without the last newline.

    + stdin: bytes for its standard input
    + timeout: seconds

    Raises KubeinfraError with the engine's own words.
    """
    done = attempt(*arguments, stdin=stdin, timeout=timeout)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip() or done.stdout.decode(errors="replace").strip()
        raise KubeinfraError(f"docker {_shortened(arguments)}: {said or f'exit code {done.returncode}'}")
    return done.stdout.decode(errors="replace").rstrip("\n")


def attempt(*arguments: str, stdin: bytes = b"", timeout: float | None = None) -> subprocess.CompletedProcess[bytes]:
    """The same where failing is an answer. Exit code 127: no client is installed; 124: `timeout` is over."""
    command = ("docker", *arguments)
    try:
        return subprocess.run(command, capture_output=True, input=stdin, timeout=timeout, env=ENVIRONMENT)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, b"", b"no docker client on PATH")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, b"", f"no end after {timeout:g} s".encode())


def lines(*arguments: str) -> list[str]:
    """Standard output of `docker <arguments>` as a list of lines, none if there was no output."""
    return docker(*arguments).splitlines()


def _shortened(arguments: Sequence[str]) -> str:
    text = " ".join(arguments)
    return text if len(text) <= 120 else text[:117] + "..."
