"""Files on a machine: all of a component's compared in one command, and written in one."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from kubeinfra.facts.files import PathStates
from kubeinfra.inventory import shown_as_message
from kubeinfra.plan import announce
from kubeinfra.wanted import SCRIPT, Change, PathState, Wanted, compare, orders, paths_of, texts_of


@operation()
def install(wanted: Sequence[Wanted]) -> Generator[StringCommand, None, None]:
    """
    Put files, directories and links on the host; files whole and with their final mode from birth.

    + wanted: all are compared in one command; secrets are never shown
    """
    with shown_as_message():
        changes = compare(wanted, path_states(wanted))
    if not changes:
        host.noop(f"{len(wanted)} files and directories are as wanted")
    yield from write(changes)


def path_states(wanted: Iterable[Wanted]) -> dict[str, PathState]:
    """What is at the wanted paths, in one command."""
    items = list(wanted)
    states: dict[str, PathState] = host.get_fact(PathStates, paths=paths_of(items), shown=texts_of(items))
    return states


def write(changes: Sequence[Change]) -> Generator[StringCommand, None, None]:
    """Announce the changes, then carry them out in one command."""
    for change in changes:
        announce(change.sentence, change.diff, change.path)
    if changes:
        yield StringCommand("sh", "-c", QuoteString(SCRIPT), _stdin=orders(changes).splitlines())
