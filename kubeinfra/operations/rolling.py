"""
Whatever restarts a member that runs goes in turns: machines wait for each other inside one operation of all.

How many at a time, each task says (`at_once`); who is next is decided in `kubeinfra/run/turns.py`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from pyinfra import host, state

from kubeinfra.run.context import run
from kubeinfra.run.turns import Turn, Turns


def turn(at_once: int) -> AbstractContextManager[Turn]:
    """
    This host's turn in the operation that is being executed; all hosts that take part in it share its turns.

    An operation for each machine, with a barrier after it, would keep the same order; but then each machine has as
    many operations as there are machines.

    + at_once: how many may have their turn at the same time
    """
    operation = host.current_op_hash
    assert state.is_executing and operation is not None, "a plan restarts nothing, so nobody waits"
    if operation not in run().turns:
        hosts = [one for one in state.inventory if one in state.active_hosts and operation in state.ops[one]]
        run().turns[operation] = Turns([one.name for one in hosts], at_once)
    return run().turns[operation].visit(host.name)
