"""A run as a picture: a row for each machine, the phases as bands, what changed as bars. Units are SVG's pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from kubeinfra.controller.records import Operation, Phase, RunMachine, RunRecord, Span
from kubeinfra.reports.words import clipped, clock, counted, duration, end_of

WIDTH = 1160
ROW = 22
TOP = 46  # the phases' names and the clock
LETTER = 6.6  # what a letter takes at the picture's size of text
LONGEST_LABEL = 24
MOST_ROWS = 30  # more machines than this are folded by their groups
SHOWN = 5  # of each group, then
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)


@dataclass(frozen=True)
class Bar:
    """+ kind: "work", "changed", "failed", or "others" for several machines in one"""

    x: float
    width: float
    kind: str
    title: str


@dataclass(frozen=True)
class Row:
    """+ folded: how many machines without a row of their own it stands for; 0 for a machine"""

    label: str
    title: str
    y: float
    bars: tuple[Bar, ...]
    folded: int = 0


@dataclass(frozen=True)
class Band:
    """A phase: `label` is what there is room for; `last` says who was the last to be ready."""

    number: int
    name: str
    x: float
    width: float
    label: str
    took: str
    last: str


@dataclass(frozen=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True)
class Timeline:
    """The whole picture; `folded` machines have no row of their own."""

    width: float
    height: float
    left: float
    bands: tuple[Band, ...]
    ticks: tuple[Tick, ...]
    rows: tuple[Row, ...]
    folded: int


@dataclass(frozen=True)
class _Scale:
    began: datetime
    ended: datetime
    left: float

    @property
    def seconds(self) -> float:
        return max((self.ended - self.began).total_seconds(), 0.001)

    def x(self, time: datetime) -> float:
        """Always inside of the picture, also for a clock that was set meanwhile."""
        share = (time - self.began).total_seconds() / self.seconds
        return round(self.left + (WIDTH - self.left) * min(max(share, 0.0), 1.0), 1)

    def bar(self, began: datetime, ended: datetime, kind: str, title: str, least: float = 1.5) -> Bar:
        width = round(max(self.x(ended) - self.x(began), least), 1)
        return Bar(min(self.x(began), WIDTH - width), width, kind, title)


def timeline(record: RunRecord) -> Timeline | None:
    """None for a run that ended before its first phase: there is nothing to see."""
    if not record.phases or not record.machines:
        return None
    groups = _row_groups(record)
    longest = max(len(clipped(_label(group), LONGEST_LABEL)) for group in groups)
    scale = _Scale(record.started, end_of(record), round(longest * LETTER + 16))
    operations = _by_machine(record)
    rows = [_row(group, TOP + ROW * number, record, operations, scale) for number, group in enumerate(groups)]
    return Timeline(
        width=WIDTH,
        height=TOP + ROW * len(rows) + 4,
        left=scale.left,
        bands=tuple(_band(number, phase, scale) for number, phase in enumerate(record.phases, 1)),
        ticks=tuple(_ticks(scale)),
        rows=tuple(rows),
        folded=sum(row.folded for row in rows),
    )


def _row_groups(record: RunRecord) -> list[Sequence[RunMachine]]:
    """Who shares a row: nobody, as long as they are few."""
    if len(record.machines) <= MOST_ROWS:
        return [[machine] for machine in record.machines]
    alike: dict[frozenset[str], list[RunMachine]] = {}
    for machine in record.machines:
        alike.setdefault(frozenset(machine.groups), []).append(machine)
    failed = {operation.machine for operation in record.operations if operation.outcome == "failed"}
    busy = _busy(record)
    groups: list[Sequence[RunMachine]] = []
    for members in alike.values():
        if len(members) <= SHOWN + 1:
            groups += [[machine] for machine in members]
            continue
        worth = sorted(members, key=lambda one: (one.name not in failed, -busy.get(one.name, 0)))[:SHOWN]
        groups += [[machine] for machine in members if machine in worth]
        groups.append([machine for machine in members if machine not in worth])
    return groups


def _busy(record: RunRecord) -> dict[str, float]:
    """Machine -> seconds of work in all phases."""
    seconds: dict[str, float] = {}
    for phase in record.phases:
        for name, span in phase.machines.items():
            seconds[name] = seconds.get(name, 0) + _seconds(span, end_of(record))
    return seconds


def _by_machine(record: RunRecord) -> dict[str, list[Operation]]:
    """Only those that did something: what was looked at is the bar of the phase."""
    found: dict[str, list[Operation]] = {}
    for operation in record.operations:
        if operation.outcome != "unchanged":
            found.setdefault(operation.machine, []).append(operation)
    return found


def _label(group: Sequence[RunMachine]) -> str:
    if len(group) == 1:
        return group[0].name
    return f"{len(group)} more: {' '.join(sorted(group[0].groups))}"


def _row(
    group: Sequence[RunMachine],
    y: float,
    record: RunRecord,
    operations: dict[str, list[Operation]],
    scale: _Scale,
) -> Row:
    label = _label(group)
    if len(group) > 1:
        bars = [bar for phase in record.phases for bar in _shared_bar(group, phase, scale)]
        return Row(clipped(label, LONGEST_LABEL), label, y, tuple(bars), len(group))
    machine = group[0]
    bars = [
        scale.bar(span.began, span.ended or scale.ended, "work", _title(phase.name, span, scale))
        for phase in record.phases
        for span in [phase.machines.get(machine.name)]
        if span
    ]
    bars += _operation_bars(operations.get(machine.name, []), scale)
    title = f"{label} {machine.address} ({' '.join(sorted(machine.groups))})"
    return Row(clipped(label, LONGEST_LABEL), title, y, tuple(bars))


def _title(what: str, span: Span, scale: _Scale) -> str:
    return f"{what}: {duration(_seconds(span, scale.ended))}"


def _shared_bar(group: Sequence[RunMachine], phase: Phase, scale: _Scale) -> Iterable[Bar]:
    spans = {machine.name: phase.machines[machine.name] for machine in group if machine.name in phase.machines}
    if not spans:
        return
    seconds = {name: _seconds(span, scale.ended) for name, span in spans.items()}
    slowest = max(seconds, key=lambda name: seconds[name])
    ended = max(span.ended or scale.ended for span in spans.values())
    yield scale.bar(
        min(span.began for span in spans.values()),
        ended,
        "others",
        f"{phase.name}: {counted(len(spans), 'machine')}, half of them within {duration(median(seconds.values()))}, "
        f"the slowest is {slowest} with {duration(seconds[slowest])}",
    )


def _operation_bars(operations: Sequence[Operation], scale: _Scale) -> list[Bar]:
    return [
        scale.bar(
            operation.began,
            datetime.fromtimestamp(operation.began.timestamp() + operation.seconds, operation.began.tzinfo),
            operation.outcome,
            f"{operation.name}: {operation.outcome}, {duration(operation.seconds)}",
        )
        for operation in operations
    ]


def _seconds(span: Span, end: datetime) -> float:
    return ((span.ended or end) - span.began).total_seconds()


def _band(number: int, phase: Phase, scale: _Scale) -> Band:
    x, end = scale.x(phase.began), scale.x(phase.ended or scale.ended)
    width = round(max(end - x, 0.5), 1)
    full = f"{number} {phase.name}"
    fits = full if width >= len(full) * LETTER + 8 else str(number) if width >= len(str(number)) * LETTER + 4 else ""
    last = max(phase.machines, key=lambda name: phase.machines[name].ended or scale.ended, default="")
    return Band(number, phase.name, x, width, fits, duration(_seconds(phase, scale.ended)), last)


def _ticks(scale: _Scale) -> Iterable[Tick]:
    """At most ten, at round times; the last leaves room for its own words."""
    step = next((step for step in _STEPS if scale.seconds / step <= 10), scale.seconds)
    per_second = (WIDTH - scale.left) / scale.seconds
    for number in range(int(scale.seconds / step) + 1):
        x = scale.left + number * step * per_second
        if x <= WIDTH - 30:
            yield Tick(round(x, 1), clock(number * step) if step >= 1 else f"{number * step:.1f} s")
