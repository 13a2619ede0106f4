"""
What pyinfra looks up at each operation, fact and deploy of each host, looked up once: with it a plan takes a third of
the time.

Each of them asks for all of pyinfra's arguments, some thirty such as _sudo, in what the inventory says of the host, and
seldom finds one.
"""

from __future__ import annotations

from copy import copy
from functools import cache
from importlib import import_module
from typing import Any

from pyinfra.api import Host, State, arguments, inventory
from pyinfra.api.host import HostData

_pop_global_arguments = arguments.pop_global_arguments


def install() -> None:
    """In place of pyinfra's own; results are the same."""
    if arguments.all_global_arguments is not _all_global_arguments:  # config.py is read more than once
        arguments.all_global_arguments = _all_global_arguments
        inventory.get_all_connectors = cache(inventory.get_all_connectors)  # else once more for each host
        HostData.__getattr__ = _get_data  # type: ignore[method-assign]
        for user in ("deploy", "facts", "operation"):
            vars(import_module(f"pyinfra.api.{user}"))["pop_global_arguments"] = _pop_arguments


_all_global_arguments = cache(arguments.all_global_arguments)  # it evaluates all of their annotations


def _pop_arguments(state: State, host: Host, kwargs: dict[str, Any]) -> Any:
    """Of the host itself: pyinfra's `host` and `state` find out at each access what they stand for."""
    own = host.inventory.get_host(host.name)
    return _pop_global_arguments(own.state, own, kwargs)


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
