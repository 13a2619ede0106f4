"""The health of the whole cluster in one table, from what each machine says."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host, state
from pyinfra.api import StringCommand, operation

from kubeinfra.facts.health import Health
from kubeinfra.health.findings import contradictions, noted, unhealthy
from kubeinfra.operations.gates import failure
from kubeinfra.run.context import run

Commands = Generator[StringCommand, None, None]


@operation()
def ask(asked: list[tuple[str, str, str]]) -> Commands:
    """
    Ask this machine's components how they are. A plan asks nothing: it is about what a run would change.

    + asked: component, subject and shell command of each question
    """
    if state.is_executing:
        run().health[host.name] = host.get_fact(Health, asked=asked)
    return
    yield


@operation()
def show() -> Commands:
    """Print what all machines said."""
    if state.is_executing:
        run().screen.health(row for rows in run().health.values() for row in rows)
    return
    yield


@operation()
def judge(load_balancers: int | None = None) -> Commands:
    """
    Fail this host if one of its answers is unhealthy.

    + load_balancers: how many there are, on the host that also judges whether all answers fit together; else None
    """
    rows = run().health.get(host.name, [])
    run().journal.findings.update(dict.fromkeys(noted(host.name, rows)))
    findings = unhealthy(host.name, rows)
    if load_balancers is not None:
        findings += contradictions((row for rows in run().health.values() for row in rows), load_balancers)
    if findings:
        run().journal.findings.update(dict.fromkeys(findings))
        yield failure("\n".join(finding.text() for finding in findings))
