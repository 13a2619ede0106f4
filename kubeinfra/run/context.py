"""What one run keeps while it lasts: one object for each of pyinfra's states, so that no run sees another's."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from pyinfra.api import State
from pyinfra.context import ctx_state

from kubeinfra.health.questions import Row
from kubeinfra.machine.state import MachineState
from kubeinfra.run.journal import Journal
from kubeinfra.run.screen import EveryLine, Screen
from kubeinfra.run.turns import Turns


@dataclass
class Run:
    """
    One run: a plan, or one that changes machines.

    + machines: machine name -> what preflight saw of it; health: machine name -> what it answered
    + announced: machine name -> path -> digest that a plan would give it; see `kubeinfra.run.plan.announced`
    + turns: operation (its hash) -> who may act in it now
    + keeps_record: whether it may change something, so that a record is kept of it
    """

    machines: dict[str, MachineState] = field(default_factory=dict)
    health: dict[str, list[Row]] = field(default_factory=dict)
    announced: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    turns: dict[str, Turns] = field(default_factory=dict)
    screen: Screen = field(default_factory=EveryLine)
    journal: Journal = field(default_factory=Journal)
    keeps_record: bool = False


_runs: WeakKeyDictionary[State, Run] = WeakKeyDictionary()


def run() -> Run:
    """The run that pyinfra is at now."""
    return _runs.setdefault(ctx_state.get(), Run())
