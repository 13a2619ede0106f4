"""What a run has done so far: phases, changes, restarts and what it found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from kubeinfra.controller.records import Change, Phase, Restart, Span
from kubeinfra.findings import Finding

Verb = Literal["start", "restart", "reload"]
_ENDS_PHASE = "--- "  # how the name of a barrier between two phases begins


def phase_of(operation_name: str) -> str | None:
    """What has been reached when all machines have come to this operation; None for one that is no such barrier."""
    return operation_name.removeprefix(_ENDS_PHASE) if operation_name.startswith(_ENDS_PHASE) else None


@dataclass
class Worked:
    """One operation on one machine: from when to when."""

    operation: str
    machine: str
    began: datetime
    ended: datetime | None = None


@dataclass
class Journal:
    """
    What one run has done so far, of which its record is made.

    + worked: operation (pyinfra's hash) and machine -> when; errors: lines that pyinfra printed as such
    + certificates: machine and path -> PEM, as seen or issued last
    """

    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    findings: dict[Finding, None] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    worked: dict[tuple[str, str], Worked] = field(default_factory=dict)
    phases: list[Phase] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    certificates: dict[tuple[str, str], str] = field(default_factory=dict)
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

    def end_phase(self, name: str, is_whole: bool = True) -> None:
        """All machines have come to a barrier, or to the end; or not, when the run is cut off."""
        now = datetime.now(UTC)
        if self._phase_began is not None:
            ended = now if is_whole else None
            self.phases.append(Phase(name=name, began=self._phase_began, ended=ended, machines=self._in_phase))
        self._phase_began, self._in_phase = now, {}

    @property
    def is_in_phase(self) -> bool:
        """Whether something has been done since the last phase ended."""
        return bool(self._in_phase)
