"""
Files and directories that appear whole or not at all, and locks between processes.

Each is written as `.<name>.part` in the same directory, with its final mode from birth, flushed to the disk, and
renamed. A process that is killed leaves the older one as it was, and a `.part` that the next writer replaces.
Two processes must not write the same path at once: let them hold a lock.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from kubeinfra.errors import file_errors


@contextmanager
def whole_path(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """
    An empty file for another program to fill, which gets the name `path` at the end; an error leaves nothing behind.

    + mode: its permissions, whatever the umask is. Missing directories above it are made.
    """
    part = part_of(path)
    with file_errors(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(part)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
        try:
            yield part
            part.chmod(mode)  # the umask may have taken some away; the other program may have made it a new file
            sync(part)
            part.replace(path)
            sync(path.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def whole_file(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A file to write that gets its name when it is complete and on the disk; see `whole_path`."""
    with whole_path(path, mode) as part, part.open("wb") as file:
        yield file


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """This text as the whole content of the file, in place of an older one."""
    with whole_file(path, mode) as file:
        file.write(text.encode())


@contextmanager
def whole_directory(path: Path, mode: int = 0o700) -> Iterator[Path]:
    """
    An empty directory to fill that gets its name at the end; an error leaves nothing behind.

    What is put into it must be on the disk by itself (`whole_file`, `sync`). OSError, as a KubeinfraError, if
    `path` is a directory that is not empty: nothing is replaced.
    """
    part = part_of(path)
    with file_errors(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(part)
        part.mkdir(mode)
        part.chmod(mode)
        try:
            yield part
            sync(part)
            part.rename(path)
            sync(path.parent)
        except BaseException:
            _remove(part)
            raise


def move(old: Path, new: Path) -> None:
    """Rename within one file system, on the disk when this returns."""
    with file_errors(old, "renamed"):
        old.rename(new)
        for directory in {old.parent, new.parent}:
            sync(directory)


def sync(path: Path) -> None:
    """Wait until a file's content, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def part_of(path: Path) -> Path:
    """What a file or directory is called until it is whole."""
    return path.with_name(f".{path.name}.part")


def hold_lock(path: Path) -> int:
    """
    Lock this directory, or this file (made if missing), for as long as this process lives or until it is closed.

    Gives the open file that holds the lock; BlockingIOError if another process has it.
    """
    descriptor = _open_for_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def locked(path: Path, busy: Callable[[], object] = lambda: None) -> Iterator[None]:
    """
    One process at a time between here and the end; the others wait. The lock goes with a process that dies.

    + path: a directory, or a file, which is made if missing
    + busy: called before it waits for another process; an error that it raises ends the waiting
    """
    try:
        descriptor = hold_lock(path)
    except BlockingIOError:
        busy()
        descriptor = _open_for_lock(path)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # under gevent, os.close comes only with the next turn of its loop
        os.close(descriptor)


def _open_for_lock(path: Path) -> int:
    with file_errors(path, "written"):
        if path.is_dir():
            return os.open(path, os.O_RDONLY)
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part)
    part.unlink(missing_ok=True)
