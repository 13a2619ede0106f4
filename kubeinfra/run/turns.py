"""Turns of machines: a limited number at a time, in the order of the inventory, and none after a failure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from time import monotonic

PATIENCE = 5.0
"""
Seconds for which a machine waits for those before it that have not come yet. pyinfra works on so many hosts at a time
(its `parallel`), in any order: if all of these wait here, the others cannot come before one of them has ended.
"""


class Turns:
    """
    Decides which of several concurrent machines may act now.

    After `patience` seconds a machine waits only for machines that are here already, and for those that have a turn, so
    that one can always continue. Safe between threads, and between pyinfra's greenlets, which replace threads.

    + order: the machines' names; + width: how many may have a turn at once, 1 or more
    """

    def __init__(self, order: Sequence[str], width: int, patience: float = PATIENCE) -> None:
        self._position = {name: number for number, name in enumerate(order)}
        self._undecided = set(order)
        self._here: set[str] = set()
        self._acting: set[str] = set()
        self._alone = False
        self._width, self._patience = width, patience
        self._changed = Condition()
        self.failed: str | None = None
        """The first machine that has failed: no machine gets a turn any more."""

    @contextmanager
    def visit(self, name: str) -> Iterator[Turn]:
        """Entered by a machine that checks what it needs, and does it; one that leaves by an exception has failed."""
        with self._changed:
            self._here.add(name)
            if self.failed == name:  # pyinfra's --retry: it tries again
                self.failed = None
        try:
            yield Turn(self, name)
        except BaseException:  # GeneratorExit too: pyinfra drops an operation whose command has failed
            self._leave(name, failed=True)
            raise
        self._leave(name, failed=False)

    def take(self, name: str, alone: bool = False) -> bool:
        """
        Wait until it is this machine's turn; False if a machine has failed, so that there are no more turns.

        + alone: not while any other has its turn
        """
        came, width = monotonic(), 1 if alone else self._width
        with self._changed:
            while not self.failed and not self._is_next(name, width, monotonic() - came >= self._patience):
                self._changed.wait(self._patience)
            if self.failed:
                return False
            self._undecided.discard(name)
            self._acting.add(name)
            self._alone = alone
            self._changed.notify_all()
            return True

    def _is_next(self, name: str, width: int, has_waited: bool) -> bool:
        if self._alone or len(self._acting) >= width:
            return False
        awaited = self._undecided & self._here if has_waited else self._undecided
        return not any(self._position[other] < self._position[name] for other in awaited)

    def _leave(self, name: str, failed: bool) -> None:
        with self._changed:
            self._undecided.discard(name)
            self._acting.discard(name)
            self._alone = self._alone and bool(self._acting)
            if failed and not self.failed:
                self.failed = name
            self._changed.notify_all()


@dataclass(frozen=True)
class Turn:
    """One machine's place among the others."""

    turns: Turns
    name: str

    def take(self, alone: bool = False) -> bool:
        """As `Turns.take`."""
        return self.turns.take(self.name, alone)

    @property
    def failed(self) -> str | None:
        """As `Turns.failed`."""
        return self.turns.failed
