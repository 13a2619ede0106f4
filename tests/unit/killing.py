"""A process that dies between two steps of its writing, as by SIGKILL or a power cut."""

from __future__ import annotations

import os
from collections.abc import Callable

_KILLED, _FAILED = 99, 98


def killed_after(syncs: int, write: Callable[[], object]) -> bool:
    """Write in a process of its own, which dies at its next fsync after this many; whether it came to the end."""
    child = os.fork()
    if child == 0:
        _die_after(syncs)
        try:
            write()
        except BaseException:
            os._exit(_FAILED)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, _KILLED), f"it failed ({code})"
    return code == 0


def _die_after(syncs: int) -> None:
    real, left = os.fsync, iter(range(syncs))

    def fsync(descriptor: int) -> None:
        if next(left, None) is None:
            os._exit(_KILLED)
        real(descriptor)

    vars(os)["fsync"] = fsync
