"""The health of the whole cluster in one table, from what each machine says."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host, state
from pyinfra.api import StringCommand, operation
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from kubeinfra.facts.health import Health
from kubeinfra.health.findings import contradictions, unhealthy
from kubeinfra.health.questions import Row
from kubeinfra.operations.gates import failure

Commands = Generator[StringCommand, None, None]
_rows: dict[str, list[Row]] = {}


@operation()
def ask(asked: list[tuple[str, str, str]]) -> Commands:
    """
    Ask this machine's components how they are. A plan asks nothing: it is about what a run would change.

    + asked: component, subject and shell command of each question
    """
    if state.is_executing:
        _rows[host.name] = host.get_fact(Health, asked=asked)
    return
    yield


@operation()
def show() -> Commands:
    """Print what all machines said."""
    if state.is_executing:
        console = Console(stderr=True)
        console.width = max(console.width, 120)  # where the output is no terminal, rich takes it for a narrow one
        console.print(_table())
    return
    yield


@operation()
def judge(load_balancers: int | None = None) -> Commands:
    """
    Fail this host where one of its answers was not well.

    + load_balancers: how many there are, on the host that also judges whether all answers fit together; else None
    """
    findings = unhealthy(host.name, _rows.get(host.name, []))
    if load_balancers is not None:
        findings += contradictions((row for rows in _rows.values() for row in rows), load_balancers)
    if findings:
        yield failure("\n".join(finding.text() for finding in findings))


def _table() -> Table:
    table = Table("component", "", "state", Column("says", overflow="fold"), box=None, pad_edge=False)
    rows = sorted((row for rows in _rows.values() for row in rows), key=lambda row: (row.component, row.subject))
    for row in rows:
        table.add_row(row.component, row.subject, "[green]well" if row.healthy else "[red]NOT WELL", escape(row.detail))
    return table
