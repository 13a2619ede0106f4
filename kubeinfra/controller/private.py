"""Files and directories that nobody else may read; every function raises KubeinfraError with what to do."""

from __future__ import annotations

import stat
from pathlib import Path

from kubeinfra.errors import KubeinfraError, file_errors

RESTORE = "restore it from a backup"


def exists(path: Path) -> bool:
    """Also for a dangling link, such as to a disk that is not mounted: what it led to may come back."""
    with file_errors(path, "read"):
        try:
            path.lstat()
        except FileNotFoundError:
            return False
        return True


def check_directory(path: Path) -> None:
    with file_errors(path, "read"):
        if not path.is_dir():
            raise KubeinfraError(f"{path}: is not a directory, or a link to one that is not there; {RESTORE}")
        _check_private(path)


def _check_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise KubeinfraError(
            f"{path}: has mode {mode:04o}, so that other users may read it; if none of them did, run: chmod go= {path}"
        )


def read_private(path: Path, advice: str) -> str:
    text = read_text(path, advice)  # first: a missing file has no mode
    _check_private(path)
    return text


def read_text(path: Path, advice: str) -> str:
    with file_errors(path, "read"):
        try:
            return path.read_bytes().decode()
        except FileNotFoundError:
            raise KubeinfraError(f"{path}: is missing; {advice}") from None
        except UnicodeDecodeError:
            raise KubeinfraError(f"{path}: is not text; {advice}") from None
