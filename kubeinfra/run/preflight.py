"""Preflight of this run: all machines looked at, judged together, and told once, before anything is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from threading import Lock

from pyinfra import logger, state
from pyinfra.api import Host
from pyinfra.api.exceptions import PyinfraError

from kubeinfra.atomic import write_whole
from kubeinfra.checks.base import Check, Kept, Seen
from kubeinfra.checks.catalogue import CHECKS, OF_WHAT_IS_KEPT, findings
from kubeinfra.errors import KubeinfraError
from kubeinfra.findings import Finding
from kubeinfra.pki.secrets import SECRET_NAMES
from kubeinfra.reports import preflight as report
from kubeinfra.reports.words import counted
from kubeinfra.run.context import run
from kubeinfra.run.controller import controller, identity, secrets
from kubeinfra.run.inventory import as_pyinfra_error, cluster, run_option
from kubeinfra.run.seen import look_at, look_at_first

_one_judges = Lock()


def judge() -> None:
    """
    The first host that comes here looks at all hosts of the run, and tells what was found; the others wait for it.

    Ends the run with all errors in one message, if there are any.
    """
    with _one_judges:
        if run().preflight is None:
            look_at_first([one for one in state.inventory if one in state.active_hosts])
            run().preflight = _findings(CHECKS, state.active_hosts)
            _tell(run().preflight or [])
    _refuse(run().preflight or [])


def judge_absent(hosts: Sequence[Host]) -> None:
    """Of hosts that take no part in this run: whether they have a CA or a secret that the controller lacks."""
    look_at(hosts)
    _refuse(_findings(OF_WHAT_IS_KEPT, hosts))


def summarise() -> None:
    """One line: what was looked at, and that nothing ends a run."""
    levels = Counter(one.level for one in run().preflight or ())
    counts = f"no errors, {counted(levels['warning'], 'warning')}, {counted(levels['note'], 'note')}"
    logger.info(f"preflight of {counted(len(run().machines), 'machine')}: {counts}; docs/preflight.md")


def _findings(checks: Iterable[Check], hosts: Iterable[Host]) -> list[Finding]:
    names = {one.name for one in hosts}
    states = {name: found for name, found in run().machines.items() if name in names}
    kept, damaged = _kept()
    seen = Seen(cluster(), states, kept, date.today())
    return [*damaged, *findings(seen, checks, cluster().settings.preflight_ignore)]


def _kept() -> tuple[Kept | None, list[Finding]]:
    """What the controller has; or an error for each file of it that cannot be used."""
    try:
        cas, of = secrets(), identity()
    except KubeinfraError as error:
        return None, [Finding("controller", "", "error", problem) for problem in error.problems]
    given = [name for name in SECRET_NAMES if cas.secret(name) is not None]
    return Kept(controller().directory, controller().identity_path, of, cas.cas, given), []


def _tell(found: Sequence[Finding]) -> None:
    run().journal.findings.update(dict.fromkeys(found))
    if path := run_option("preflight_json"):
        text = report.document(found, run().machines, cluster().settings.preflight_ignore)
        with as_pyinfra_error():
            write_whole(Path(path).expanduser(), text)
    several = report.shared(found)
    if len(several) > 1 or any(one.level != "error" for one, _ in several):  # a single error is told by its message
        run().screen.show(report.table(found))


def _refuse(found: Iterable[Finding]) -> None:
    if errors := [one for one in found if one.level == "error"]:
        raise PyinfraError("\n" + "\n".join(report.sentences(errors)))
