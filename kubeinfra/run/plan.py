"""What a run says about its changes, and which paths a plan has announced to change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pyinfra import host, logger, state

_announced: dict[str, dict[str, str]] = defaultdict(dict)


def announce(sentence: str, diff: Iterable[str] = (), path: str | None = None, digest: str = "") -> None:
    """
    One line for the person, with the host's name; the diff only in a plan, where it is asked for.

    `path`: whose content the change is about, `digest`: the SHA-256 that it will have ("": not known yet), so that a
    plan can tell which processes would restart because of it.
    """
    logger.info(f"{host.print_prefix}{sentence}")
    if not state.is_executing:
        for line in diff:
            logger.info(f"{host.print_prefix}    {line}")
        if path:
            _announced[host.name][path] = digest


def announced() -> dict[str, str]:
    """What this plan would change on this host: path -> digest. Empty while a run changes things: the disk tells."""
    return {} if state.is_executing else _announced[host.name]
