"""What an operation of one host asks on a master: who may see it there is the administrator."""

from __future__ import annotations

from collections.abc import Iterator
from threading import BoundedSemaphore, Lock
from typing import Any, TypeVar

from pyinfra import state
from pyinfra.api import FactBase, Host
from pyinfra.api.exceptions import ConnectError

from kubeinfra.run.hosts import is_in_this_run
from kubeinfra.run.inventory import cluster

Answer = TypeVar("Answer")
_one_connects = Lock()
_few_ask = BoundedSemaphore(4)
"""sshd lets 10 commands at a time into one connection (MaxSessions), and the master has commands of its own."""


def ask_master(fact: type[FactBase[Answer]], **arguments: Any) -> Answer:
    """
    The fact of the first master of this run; if it has none (--limit node), of the first that answers.

    If none answers it is the fact's default.
    """
    with _few_ask:
        master = next(_masters(), None)
        answer: Answer = master.get_fact(fact, **arguments) if master else fact().default()
        return answer


def _masters() -> Iterator[Host]:
    """Masters to which there is a connection, or can be."""
    for machine in sorted(cluster().masters, key=is_in_this_run, reverse=True):
        master = state.inventory.get_host(machine.name)
        with _one_connects:
            try:
                master.connect(raise_exceptions=True, show_errors=False)
            except ConnectError:
                continue
        yield master
