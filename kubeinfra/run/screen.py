"""The destination of a run's sentences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pyinfra import host, logger
from rich.table import Table

from kubeinfra.health.questions import Row
from kubeinfra.reports.fold import Told
from kubeinfra.reports.health import print_table, to_stderr


class Screen(Protocol):
    """What operations tell; `waits`: what a machine waits for from now on."""

    def tell(self, one: Told) -> None: ...
    def tell_wait(self, one: Told) -> None: ...
    def waits(self, machine: str, what: str) -> None: ...
    def health(self, rows: Iterable[Row]) -> None: ...
    def show(self, table: Table) -> None: ...


class EveryLine:
    """Each sentence and each line of a diff for itself, between pyinfra's own lines: what `-v` shows."""

    def tell(self, one: Told) -> None:
        for line in (one.sentence, *(f"    {line}" for line in one.diff)):
            logger.info(f"{host.print_prefix}{line}")

    def tell_wait(self, one: Told) -> None:
        self.tell(one)

    def waits(self, machine: str, what: str) -> None:
        pass

    def health(self, rows: Iterable[Row]) -> None:
        print_table(rows, every=True)

    def show(self, table: Table) -> None:
        to_stderr(table)
