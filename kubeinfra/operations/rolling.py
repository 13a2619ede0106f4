"""Whatever restarts a member that runs goes one machine at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pyinfra import host

from kubeinfra.cluster.cluster import Machine
from kubeinfra.operations.gates import barrier


def one_at_a_time(machines: Iterable[Machine], step: Callable[[], None]) -> None:
    """
    Let each machine do its step while the others wait for it, in the order given.

    All these machines must call this; the run stops at the first whose step fails (FAIL_PERCENT in config.py).
    """
    for machine in host.loop(list(machines)):
        if machine.name == host.name:
            step()
        barrier(name=f"{machine.name} done")
