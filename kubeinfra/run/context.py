"""What one run keeps while it lasts: one object for each of pyinfra's states, so that no run sees another's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from pyinfra.api import State
from pyinfra.context import ctx_state

from kubeinfra.artifacts.store import Binary, PlannedBinary
from kubeinfra.findings import Finding
from kubeinfra.health.questions import Row
from kubeinfra.machine.state import MachineState
from kubeinfra.releases.catalogue import Artifact
from kubeinfra.run.journal import Journal
from kubeinfra.run.screen import EveryLine, Screen
from kubeinfra.run.turns import Turns


@dataclass
class Run:
    """
    One run: a plan, or one that changes machines.

    + machines: machine name -> what preflight saw of it; preflight: its findings, None before
    + health: machine name -> what it answered
    + announced: machine name -> path -> digest that a plan would give it; see `kubeinfra.run.plan.announced`
    + binaries: artifact, and whether the run changes machines -> what the controller knows of the binaries in it
    + outdated: machine name -> its units that ran from something else than the disk has, when they were last looked at
      to be started
    + bootstrap_token: what this run has made for the nodes that join, if it has
    + turns: operation (its hash) -> who may act in it now
    + keeps_record: whether it may change something, so that a record is kept of it
    """

    machines: dict[str, MachineState] = field(default_factory=dict)
    preflight: list[Finding] | None = None
    health: dict[str, list[Row]] = field(default_factory=dict)
    announced: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    binaries: dict[tuple[Artifact, bool], Sequence[Binary | PlannedBinary]] = field(default_factory=dict)
    outdated: dict[str, frozenset[str]] = field(default_factory=dict)
    bootstrap_token: str | None = field(default=None, repr=False)
    turns: dict[str, Turns] = field(default_factory=dict)
    screen: Screen = field(default_factory=EveryLine)
    journal: Journal = field(default_factory=Journal)
    keeps_record: bool = False


_runs: WeakKeyDictionary[State, Run] = WeakKeyDictionary()


def run() -> Run:
    """The run that pyinfra is at now."""
    state = ctx_state.get()
    if state not in _runs:
        _runs[state] = Run()
    return _runs[state]
