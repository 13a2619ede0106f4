"""What the user sees: phases with their seconds, and a sign of life in the long ones; on a terminal or not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console

QUIET_SECONDS = 5.0


@dataclass
class Phase:
    """One step of a command. `note` tells what it is doing right now, `result` what came of it."""

    console: Console
    name: str
    result: str = ""
    _started: float = field(default_factory=time.monotonic)
    _shown: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def note(self, text: str) -> None:
        """Shown as it comes, but not more often than every few seconds: a build has thousands of lines."""
        with self._lock:
            if time.monotonic() - self._shown < QUIET_SECONDS:
                return
            self._shown = time.monotonic()
        self.line("..", text)

    def line(self, sign: str, text: str) -> None:
        self.console.print(f"{sign} {self.name:<10}{self.seconds:6.1f} s  {text}", markup=False, highlight=False)


@dataclass
class Phases:
    """The steps of a command, some of them side by side. `finished` has the name and the seconds of each."""

    console: Console
    finished: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def __call__(self, name: str) -> Iterator[Phase]:
        """Time a step and print its line at the end, also when it fails; the reason is the caller's to tell."""
        step = Phase(self.console, name)
        try:
            yield step
        except BaseException:
            step.line("!!", "failed")
            raise
        self.finished.append((name, step.seconds))
        step.line("ok", step.result)
