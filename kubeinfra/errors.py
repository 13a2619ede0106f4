"""Errors that the user can fix: shown as a message, never as a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class KubeinfraError(Exception):
    """
    Something that the user can fix, in the user's terms.

    Each message names the host, the setting or the file, what was found, what was expected, and what to do next.
    Several problems found together are one error, whose message has one line for each.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@contextmanager
def file_errors(path: Path, done: str) -> Iterator[None]:
    """Turn errors of the operating system into a message. + done: what failed, such as "read" or "written"."""
    try:
        yield
    except OSError as error:
        raise KubeinfraError(
            f"{error.filename or path}: cannot be {done} ({(error.strerror or str(error)).lower()}); "
            "put that right, or run as the user who owns it"
        ) from error
