"""Errors in the files that a user writes, inventory.py and group_data/*.py: file, line and reason, no traceback."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from traceback import walk_tb
from typing import Any

from pyinfra import logger, state
from pyinfra.context import ctx_state

# What pyinfra stumbles over if a list of the inventory has another shape than it expects.
MALFORMED = (TypeError, AttributeError, ValueError, IndexError)


def syntax_problems(files: Iterable[Path]) -> list[str]:
    """One sentence for each file that Python cannot read; none of them is executed."""
    found = []
    for file in files:
        try:
            compile(file.read_text(encoding="utf-8"), str(file), "exec")
        except (SyntaxError, ValueError, OSError) as error:
            found.append(problem(error, str(file)))
    return found


def group_data_files(directories: Iterable[Path]) -> Iterator[Path]:
    """The files that pyinfra executes for these directories."""
    for directory in dict.fromkeys(path.resolve() for path in directories):
        if directory.is_dir():
            yield from sorted(directory.glob("*.py"))


def problem(error: BaseException, file: str) -> str:
    """The sentence about an error that Python met in this file, which may lie in another one that it imports."""
    if isinstance(error, SyntaxError):
        return f"{_place(error.filename or file, error.lineno)}: not valid Python, {error.msg}; correct that line"
    if isinstance(error, UnicodeDecodeError):
        return f"{_shown(file)}: not UTF-8 at byte {error.start}; save it as UTF-8"
    if isinstance(error, OSError) and error.filename == file:
        return f"{_shown(file)}: cannot be read ({(error.strerror or str(error)).lower()}); put that right"
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    line = lines[-1] if lines else None
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{_place(file, line)}: {reason}; correct that {'line' if line else 'file'}"


def malformed(error: Exception) -> str:
    return (
        f"inventory: pyinfra cannot read its lists ({' '.join(str(error).split())}); write machines as a list of "
        '("name", {"ssh_hostname": "192.168.80.10"}), and each group as a list of names'
    )


def _place(file: str, line: int | None) -> str:
    return f"{_shown(file)}, line {line}" if line else _shown(file)


def _shown(file: str) -> str:
    """As the user knows it: from the present directory, if it is below."""
    path = os.path.relpath(file)
    return file if path.startswith("..") else path


def without_traceback() -> None:
    """
    Let pyinfra show such an error as it shows its own, in one line; called by config.py.

    pyinfra asks nobody how to show an error, so this replaces the method `show` of both of its exceptions.
    """
    from pyinfra_cli.exceptions import UnexpectedExternalError, UnexpectedInternalError

    for kind in (UnexpectedExternalError, UnexpectedInternalError):
        if kind.show.__name__ != "show_in_one_line":  # pyinfra reads config.py more than once
            kind.show = _in_one_line(kind.show)


def _in_one_line(show: Callable[..., None]) -> Callable[..., None]:
    def show_in_one_line(self: Any, file: Any = None) -> None:
        # Until pyinfra knows the machines, all that it executes are the user's files; later it is our code.
        if not ctx_state.isset() or state.initialised:
            show(self, file)
        elif where := getattr(self, "filename", None) or state.current_exec_filename:
            logger.warning(f"--> pyinfra error: {problem(self.exception, str(where))}")
        elif isinstance(self.exception, MALFORMED):
            logger.warning(f"--> pyinfra error: {malformed(self.exception)}")
        else:
            show(self, file)

    return show_in_one_line
