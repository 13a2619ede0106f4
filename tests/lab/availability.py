"""How long a service is away while something breaks: requests at a steady pace, and the longest gap between answers."""

from __future__ import annotations

import ssl
import threading
import time
import urllib.request
from collections.abc import Callable
from types import TracebackType

PACE = 0.1
PATIENCE = 0.5


class Requests:
    """
    Asks every 100 ms in a thread of its own, each time over a new connection; a context manager.

    + ask: one request that raises when it fails; it may take half a second
    """

    def __init__(self, ask: Callable[[], object]) -> None:
        self.ask = ask
        self.answers: list[float] = []
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Requests:
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._ticker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end.set()
        self._ticker.join()
        for thread in self._threads:
            thread.join()

    def _tick(self) -> None:
        while not self._end.wait(PACE):
            # A request that hangs must not hold back the next one: each has its own thread.
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            thread = threading.Thread(target=self._once, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _once(self) -> None:
        try:
            self.ask()
        except OSError:
            return
        self.answers.append(time.monotonic())

    def longest_gap(self, since: float) -> float:
        """Seconds: the longest time without an answer after `since` (time.monotonic())."""
        times = sorted([since, *(answer for answer in self.answers if answer > since)])
        return max(later - earlier for earlier, later in zip(times, times[1:], strict=False))


def https(url: str) -> Callable[[], object]:
    """A GET over a new connection; whose certificate it is does not matter here."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    def ask() -> bytes:
        with urllib.request.urlopen(url, timeout=PATIENCE, context=context) as answer:
            return bytes(answer.read())

    return ask
