"""
The health table: one line for each component that is healthy, and one for each answer that is not.

What is asked, and what of an answer is a note: `kubeinfra/health/questions.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from kubeinfra.health.questions import Row
from kubeinfra.reports.fold import names

SAID = 2  # different answers of a component that are shown; of more the first


def print_table(rows: Iterable[Row], every: bool) -> None:
    """
    To standard error.

    + every: a line for each answer, even if all answers of a component are healthy
    """
    to_stderr(table(rows, every))


def to_stderr(shown: Table) -> None:
    console = Console(stderr=True)
    console.width = max(console.width, 120)  # rich assumes 80 columns if the output is not a terminal
    console.print(shown)


def table(rows: Iterable[Row], every: bool) -> Table:
    found = Table("component", "", "state", Column("says", overflow="fold"), box=None, pad_edge=False)
    for row in lines(rows, every):
        found.add_row(row.component, escape(row.subject), _state(row), escape(row.detail))
    return found


def _state(row: Row) -> str:
    if not row.healthy:
        return "[red]NOT HEALTHY"
    return "[yellow]note" if row.note else "[green]healthy"


def lines(rows: Iterable[Row], every: bool) -> list[Row]:
    """Sorted; the healthy answers of a component are folded into one row, unless `every` is set."""
    ordered = sorted(rows, key=lambda row: (row.component, not row.healthy, not row.note, row.subject))
    if every:
        return ordered
    folded: list[Row] = []
    for (component, healthy, note), group in groupby(ordered, key=lambda row: (row.component, row.healthy, row.note)):
        same = list(group)
        if healthy:
            subjects = names([row.subject for row in same]).strip("[]")
            folded.append(Row(component, subjects, True, _said([row.detail for row in same]), note))
        else:
            folded += same
    return folded


def _said(details: list[str]) -> str:
    different = list(dict.fromkeys(details))
    if len(different) <= SAID:
        return "; ".join(different)
    return f"{different[0]}; ... {len(different) - 1} others"
