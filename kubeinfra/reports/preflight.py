"""Preflight's findings as a table, as sentences and as JSON: machines with the same finding share a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich.markup import escape
from rich.table import Column, Table

from kubeinfra.checks.catalogue import CHECKS, NUMBERS
from kubeinfra.findings import EXPLAINED, Finding
from kubeinfra.reports.fold import names

SCHEMA = 1
_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}

Shared = tuple[Finding, Sequence[str]]
"""A finding without its machine, and the machines that have it; none: it is the whole cluster's."""


def shared(findings: Iterable[Finding]) -> list[Shared]:
    """Each different finding once, errors first, in the order of the checks."""
    groups: dict[Finding, list[str]] = {}
    for one in findings:
        machines = groups.setdefault(replace(one, machine=""), [])
        if one.machine and one.machine not in machines:
            machines.append(one.machine)
    return sorted(groups.items(), key=lambda item: tuple(_COLOURS).index(item[0].level))


def table(findings: Iterable[Finding]) -> Table:
    found = Table("level", "check", Column("machines", overflow="fold"), Column("found", overflow="fold"), box=None)
    found.add_column("what to do", overflow="fold")
    found.pad_edge = False
    for one, machines in shared(findings):
        label = "" if one.joints == EXPLAINED else "[dim]wanted:[/] "
        wanted = f"\n{label}{escape(one.wanted)}" if one.wanted else ""
        found.add_row(
            f"[{_COLOURS[one.level]}]{one.level}",
            f"{NUMBERS.get(one.check, '')} {one.check}".strip(),
            escape(names(machines).strip("[]")) if machines else "cluster",
            f"{escape(one.found)}{wanted}",
            escape(one.remedy),
        )
    return found


def sentences(findings: Iterable[Finding]) -> list[str]:
    """Such as "n1, n2: systemd is not PID 1; ..."."""
    return [f"{', '.join(machines)}: {one.text()}" if machines else one.text() for one, machines in shared(findings)]


def document(findings: Iterable[Finding], machines: Iterable[str], ignored: Iterable[str]) -> str:
    """
    JSON: which checks there are, and a finding for each machine that has it, in the order of the checks.

    + machines: that were looked at; + ignored: names of checks whose warnings are left out
    """
    every = [
        {
            "number": NUMBERS.get(one.check),
            "check": one.check,
            "level": one.level,
            "machine": one.machine or None,
            "found": one.found,
            "wanted": one.wanted or None,
            "remedy": one.remedy or None,
            "text": one.text(),
        }
        for one in findings
    ]
    checks = [{"number": NUMBERS[check.name], "name": check.name, "levels": list(check.levels)} for check in CHECKS]
    whole = {
        "schema": SCHEMA,
        "machines": list(machines),
        "ignored": list(ignored),
        "checks": checks,
        "findings": every,
    }
    return json.dumps(whole, indent=1) + "\n"
