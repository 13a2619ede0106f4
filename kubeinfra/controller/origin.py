"""Where a run comes from: who runs it, and which commit."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
from pathlib import Path


def user_and_host() -> str:
    """Such as "you@controller"; a user without a name is shown by its number."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # KeyError until Python 3.13
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


def commit(checkout: Path) -> str | None:
    """
    What git calls the commit of this checkout, with " + changes" if its files are not those of the commit.

    None without git, or for a directory that is no checkout or whose git refuses this user.
    """
    command = ["git", "-C", str(checkout), "describe", "--always", "--tags", "--dirty= + changes"]
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(checkout.resolve().parent)}  # not a checkout around it
    try:
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return ran.stdout.strip()
