"""What a record tells, put together for reading: what is the same on many machines is one line."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from kubeinfra.controller.records import Certificate, Change, HealthRow, Restart, RunMachine, RunRecord
from kubeinfra.findings import Finding
from kubeinfra.reports.words import who

OPEN_LINES = 15  # of a list that is longer, the rest is folded
OPEN_HEALTHY = 4  # of a component with more rows than that: healthy ones are alike
SOON, VERY_SOON = 30, 7  # days

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Line:
    """A sentence and the machines that it is true of: in few words, and all of them."""

    text: str
    machines: str
    every: str


@dataclass(frozen=True)
class ChangesOfPhase:
    phase: str
    shown: tuple[Line, ...]
    folded: tuple[Line, ...]


@dataclass(frozen=True)
class RestartLine:
    verb: str
    unit: str
    reasons: tuple[str, ...]
    machines: str
    every: str


@dataclass(frozen=True)
class FindingLine:
    level: str
    check: str
    machines: str
    every: str
    found: str
    wanted: str
    remedy: str


@dataclass(frozen=True)
class Component:
    """Health of one component: `shown` has all that are unhealthy, and of the others as many as are read at once."""

    name: str
    healthy: int
    shown: tuple[HealthRow, ...]
    folded: tuple[HealthRow, ...]

    @property
    def rows(self) -> int:
        return len(self.shown) + len(self.folded)


@dataclass(frozen=True)
class CertificateLine:
    """+ left: whole days; + mark: "ended", "very-soon", "soon" or "" """

    certificate: Certificate
    left: int
    mark: str


def changes(record: RunRecord) -> list[ChangesOfPhase]:
    """By the phase that it happened in; one line for the same on several machines."""
    phases: dict[str, list[Change]] = {}
    for change in record.changes:
        phases.setdefault(_phase_at(record, change.at), []).append(change)
    found = []
    for phase, its_changes in phases.items():
        lines = _change_lines(its_changes, record.machines)
        found.append(ChangesOfPhase(phase, tuple(lines[:OPEN_LINES]), tuple(lines[OPEN_LINES:])))
    return found


def restarts(record: RunRecord) -> list[RestartLine]:
    def same(one: Restart) -> tuple[str, str, tuple[str, ...]]:
        return one.verb, one.unit, one.reasons

    return [
        RestartLine(verb, unit, reasons, *_who((one.machine for one in each), record.machines))
        for (verb, unit, reasons), each in _grouped(record.restarts, same).items()
    ]


def findings(record: RunRecord) -> list[FindingLine]:
    """Errors first, then warnings, then notes."""

    def same(one: Finding) -> tuple[str, ...]:
        return one.level, one.check, one.found, one.wanted, one.remedy

    order = ("error", "warning", "note")
    return [
        FindingLine(level, check, *_who((one.machine for one in each), record.machines), *words)
        for (level, check, *words), each in sorted(
            _grouped(record.findings, same).items(), key=lambda item: order.index(item[0][0])
        )
    ]


def health(record: RunRecord) -> list[Component]:
    """Components with something unhealthy first."""
    found = []
    for name, rows in _grouped(record.health, lambda row: row.component).items():
        sick = [row for row in rows if not row.healthy]
        well = [row for row in rows if row.healthy]
        room = OPEN_HEALTHY if len(rows) > OPEN_LINES else len(well)
        found.append(Component(name, len(well), (*sick, *well[:room]), tuple(well[room:])))
    return sorted(found, key=lambda component: component.healthy == component.rows)


def certificates(record: RunRecord, now: datetime) -> list[CertificateLine]:
    """Those that end first stand first."""
    lines = []
    for certificate in sorted(record.certificates, key=lambda one: (one.ends, one.machine, one.path)):
        left = (certificate.ends - now).days
        mark = "ended" if left < 0 else "very-soon" if left < VERY_SOON else "soon" if left < SOON else ""
        lines.append(CertificateLine(certificate, left, mark))
    return lines


def _phase_at(record: RunRecord, time: datetime) -> str:
    """The last that had begun then."""
    begun = [phase.name for phase in record.phases if phase.began <= time]
    return begun[-1] if begun else ""


def _change_lines(its_changes: Sequence[Change], machines: Sequence[RunMachine]) -> list[Line]:
    known = {machine.name: machine for machine in machines}

    def same(change: Change) -> str:
        return _without_names(change.sentence, known.get(change.machine))

    lines = []
    for sentence, each in _grouped(its_changes, same).items():
        alone = len({change.machine for change in each}) == 1
        lines.append(Line(each[0].sentence if alone else sentence, *_who((one.machine for one in each), machines)))
    return lines


def _without_names(sentence: str, machine: RunMachine | None) -> str:
    """With a word in place of the machine's own name and address, so that it reads the same for each."""
    if machine is None:
        return sentence
    for own, word in ((machine.address, "<address>"), (machine.hostname, "<name>"), (machine.name, "<name>")):
        sentence = sentence.replace(own, word)
    return sentence


def _who(names: Iterable[str], machines: Sequence[RunMachine]) -> tuple[str, str]:
    listed = list(dict.fromkeys(names))
    return who(listed, machines), ", ".join(listed)


def _grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    found: dict[Key, list[Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found
