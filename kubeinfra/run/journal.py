"""This run, from its first question to its last line: what all of its operations share, and what it has done so far."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol
from weakref import WeakKeyDictionary

from pyinfra import host, logger
from pyinfra.api import State
from pyinfra.context import ctx_state

from kubeinfra.controller.records import Change, Phase, Restart, Span
from kubeinfra.findings import Finding
from kubeinfra.health.questions import Row
from kubeinfra.reports.fold import Told
from kubeinfra.reports.health import print_table

Verb = Literal["start", "restart", "reload"]
_ENDS_PHASE = "--- "  # how the name of a barrier between two phases begins


class Screen(Protocol):
    """Where the sentences of a run go."""

    def tell(self, one: Told) -> None: ...
    def tell_wait(self, one: Told) -> None: ...
    def health(self, rows: Iterable[Row]) -> None: ...
    def waits(self, machine: str, what: str) -> None: ...


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


@dataclass
class Worked:
    """One operation on one machine: from when to when."""

    operation: str
    machine: str
    began: datetime
    ended: datetime | None = None


@dataclass
class Run:
    """
    One run: a plan, or one that changes machines.

    + announced: machine -> path -> digest that a plan would give it; see `kubeinfra.run.plan.announced`
    + health: machine -> what it answered
    + keeps_record: whether it may change something, so that a record is kept of it
    + worked: operation (pyinfra's hash) and machine -> when
    """

    screen: Screen = field(default_factory=EveryLine)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    keeps_record: bool = False
    announced: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    health: dict[str, list[Row]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    worked: dict[tuple[str, str], Worked] = field(default_factory=dict)
    phases: list[Phase] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _phase_began: datetime | None = None
    _in_phase: dict[str, Span] = field(default_factory=dict)

    def change(self, machine: str, sentence: str) -> None:
        self.changes.append(Change(machine=machine, sentence=sentence, at=datetime.now(UTC)))

    def restart(self, machine: str, unit: str, verb: Verb, reasons: Iterable[str]) -> None:
        self.restarts.append(Restart(machine=machine, unit=unit, verb=verb, reasons=tuple(reasons)))

    def begins(self, operation: str, name: str, machine: str) -> None:
        """This machine's turn in an operation has come."""
        now = datetime.now(UTC)
        self._phase_began = self._phase_began or now
        self.worked[operation, machine] = Worked(name, machine, now)
        if not name.startswith(_ENDS_PHASE):
            self._in_phase.setdefault(machine, Span(began=now))

    def ends(self, operation: str, machine: str) -> None:
        worked = self.worked[operation, machine]
        worked.ended = datetime.now(UTC)
        if began := self._in_phase.get(machine):
            self._in_phase[machine] = Span(began=began.began, ended=worked.ended)

    def end_phase(self, name: str) -> None:
        """All machines have come to a barrier, or to the end."""
        now = datetime.now(UTC)
        if self._phase_began is not None:
            self.phases.append(Phase(name=name, began=self._phase_began, ended=now, machines=self._in_phase))
        self._phase_began, self._in_phase = now, {}

    @property
    def is_in_phase(self) -> bool:
        """Whether something has been done since the last phase ended."""
        return bool(self._in_phase)


_runs: WeakKeyDictionary[State, Run] = WeakKeyDictionary()


def run() -> Run:
    """The run that pyinfra is at; one for each of its states."""
    state = ctx_state.get()
    assert state is not None, "only a run of pyinfra has one"
    if state not in _runs:
        _runs[state] = Run()
    return _runs[state]


def phase_of(operation_name: str) -> str | None:
    """What has been reached when all machines have come to this operation; None for one that is no such barrier."""
    return operation_name.removeprefix(_ENDS_PHASE) if operation_name.startswith(_ENDS_PHASE) else None
