"""Mistakes that a person can mend: shown as a message, never as a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class KubeinfraError(Exception):
    """
    What is wrong, in the words of the person who must mend it.

    Each message names the host, the setting or the file, what was found, what was wanted, and the next thing to do.
    Several mistakes found together are one error whose message has one line each.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@contextmanager
def file_errors(path: Path, done: str) -> Iterator[None]:
    """Turn the operating system's refusals into a message: `done` is the participle, such as "read"."""
    try:
        yield
    except OSError as error:
        raise KubeinfraError(
            f"{error.filename or path}: cannot be {done} ({(error.strerror or str(error)).lower()}); "
            "put that right, or run as the user who owns it"
        ) from error
