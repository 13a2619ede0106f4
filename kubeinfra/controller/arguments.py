"""The arguments of a run as a record may have them: without what looks like a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

MASK = "(secret)"
_SECRET = re.compile(r"passw|passphrase|secret|token|credential|private|(?:api|access)[-_]?key", re.IGNORECASE)
_FLAGS = ("--same-sudo-password", "--use-sudo-password", "--ssh-password-prompt")  # of pyinfra; they take no value
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def masked(arguments: Iterable[str]) -> tuple[str, ...]:
    """
    Arguments of a command line -> the same with MASK in place of values that look secret.

    That is the value of an option or of `--data NAME=VALUE` whose name says so, a `--data` value that names such a
    thing inside, a PEM block, and user and password in a URL.
    """
    return tuple(_masked(iter(arguments)))


def _masked(arguments: Iterator[str]) -> Iterator[str]:
    for argument in arguments:
        name, has_value, value = argument.partition("=")
        if not argument.startswith("-"):
            yield _value("", argument)
        elif name == "--data" or name in _FLAGS or not _SECRET.search(name):
            yield f"{name}={_data(value)}" if has_value else argument
            if name == "--data" and not has_value:
                yield from map(_data, _next(arguments))
        elif has_value:
            yield f"{name}={MASK}"
        else:
            yield name
            yield from (MASK for _ in _next(arguments))


def _next(arguments: Iterator[str]) -> list[str]:
    return [argument for argument in (next(arguments, None),) if argument is not None]


def _data(text: str) -> str:
    """`NAME=VALUE`, or a value alone."""
    name, has_name, value = text.partition("=")
    return f"{name}={_value(name, value)}" if has_name else _value("", text)


def _value(name: str, value: str) -> str:
    if _SECRET.search(name) or (name and _SECRET.search(value)) or "-----BEGIN" in value:
        return MASK
    return _USER_INFO.sub(MASK, value)
