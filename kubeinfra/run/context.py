"""What one run keeps while it lasts: one object for each of pyinfra's states, so that no run sees another's."""

from __future__ import annotations

from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from pyinfra.api import State
from pyinfra.context import ctx_state

from kubeinfra.machine.state import MachineState
from kubeinfra.run.turns import Turns


@dataclass
class Run:
    """+ machines: machine name -> what preflight saw of it; + turns: operation (its hash) -> who may act in it now"""

    machines: dict[str, MachineState] = field(default_factory=dict)
    turns: dict[str, Turns] = field(default_factory=dict)


_runs: WeakKeyDictionary[State, Run] = WeakKeyDictionary()


def run() -> Run:
    """The run that pyinfra is at now."""
    return _runs.setdefault(ctx_state.get(), Run())
