"""What a run says about its changes, and which paths a plan has announced to change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pyinfra import host, logger, state

_announced: dict[str, set[str]] = defaultdict(set)


def announce(sentence: str, diff: Iterable[str] = (), path: str | None = None) -> None:
    """
    One line for the person, with the host's name; the diff only in a plan, where it is asked for.

    `path`: what the change touches, so that a plan can tell which processes would restart because of it.
    """
    logger.info(f"{host.print_prefix}{sentence}")
    if not state.is_executing:
        for line in diff:
            logger.info(f"{host.print_prefix}    {line}")
        if path:
            _announced[host.name].add(path)


def announced() -> set[str]:
    """Paths that this plan would change on this host; empty while a run changes things, as then the disk tells."""
    return set() if state.is_executing else _announced[host.name]
