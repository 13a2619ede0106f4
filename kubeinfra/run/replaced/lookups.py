"""
What pyinfra looks up at each operation, fact and deploy of each host, looked up once: with it a plan takes a fifth of
the time.

Each of them asks for all of pyinfra's arguments, some thirty such as _sudo, in what the inventory says of the host, and
seldom finds one. And each operation is put in order by the lines of the files that call it, for which pyinfra reads
the source of each of these files.
"""

from __future__ import annotations

import sys
from copy import copy
from functools import cache
from importlib import import_module
from itertools import dropwhile
from typing import Any

import pyinfra
from pyinfra.api import Host, State, arguments, inventory
from pyinfra.api.host import HostData
from pyinfra.api.util import PYINFRA_INSTALL_DIR

_pop_global_arguments = arguments.pop_global_arguments


def install() -> None:
    """In place of pyinfra's own; results are the same."""
    if arguments.all_global_arguments is not _all_global_arguments:  # config.py is read more than once
        arguments.all_global_arguments = _all_global_arguments
        inventory.get_all_connectors = cache(inventory.get_all_connectors)  # else once more for each host
        HostData.__getattr__ = _get_data  # type: ignore[method-assign]
        vars(import_module("pyinfra.api.operation"))["get_operation_order_from_stack"] = _order
        for user in ("deploy", "facts", "operation"):
            vars(import_module(f"pyinfra.api.{user}"))["pop_global_arguments"] = _pop_arguments


_all_global_arguments = cache(arguments.all_global_arguments)  # it evaluates all of their annotations


def _pop_arguments(state: State, host: Host, kwargs: dict[str, Any]) -> Any:
    """Of the host itself: pyinfra's `host` and `state` find out at each access what they stand for."""
    own = host.inventory.get_host(host.name)
    return _pop_global_arguments(own.state, own, kwargs)


def _order(state: State) -> list[int]:
    """Line numbers of the calls that lead to an operation, from the deploy file on, without those of pyinfra itself."""
    calls, frame = list[tuple[str, int]](), sys._getframe(1)
    while frame:
        calls.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back  # type: ignore[assignment]
    calls.reverse()
    if own := state.current_deploy_filename:
        calls = list(dropwhile(lambda call: call[0] != own, calls))
    lines = [line for file, line in calls if not file.startswith(PYINFRA_INSTALL_DIR)]
    return [state.current_op_file_number, *lines] if pyinfra.is_cli else lines


def _get_data(self: HostData, key: str) -> Any:
    """`host.data.<key>`; what the inventory says does not change during a run, so its layers are merged once."""
    said = self.__dict__.get("merged")
    if said is None:
        said = self.__dict__["merged"] = _merged(self.host)
    for data in (self.override_datas, said, self.host.get_deploy_data()):
        if key in data:
            return copy(data[key])
    raise AttributeError(f"host {self.host.name} has no data {key}")


def _merged(host: Host) -> dict[str, Any]:
    """Later ones win."""
    every = host.inventory
    return {
        **every.get_data(),
        **every.get_groups_data(host.groups),
        **every.get_host_data(host.name),
        **every.get_override_data(),
    }
