"""How pyinfra itself behaves in this project."""

import socket
from copy import copy
from functools import cache
from typing import Any

from gevent.hub import Hub
from paramiko.transport import Transport
from pyinfra import config
from pyinfra.api import arguments
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import HostData

from kubeinfra.run import output
from kubeinfra.run.user_files import without_traceback

config.REQUIRE_PYINFRA_VERSION = "~=3.10"
config.FAIL_PERCENT = 0  # the first host that fails stops the run: what follows may depend on it

# A message for the user, which pyinfra shows at the end; without this, gevent prints a traceback before it.
Hub.NOT_ERROR = (*Hub.NOT_ERROR, PyinfraError)
without_traceback()
output.install()


def _tuned(connect: Any) -> Any:
    """
    A connection as paramiko makes it, without two of its problems: it leaves Nagle's algorithm on, which costs about
    40 ms with every command; and it would wait for ever for a machine that has lost its power.
    """

    def tuned(self: Transport, *args: Any, **kwargs: Any) -> None:
        connect(self, *args, **kwargs)
        self.set_keepalive(15)
        if isinstance(self.sock, socket.socket):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; milliseconds that an answer may take
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000)

    return tuned


if Transport.__init__.__name__ != "tuned":  # pyinfra reads this file more than once
    Transport.__init__ = _tuned(Transport.__init__)  # type: ignore[method-assign]


def _looked_up(self: HostData, key: str) -> Any:
    """
    As pyinfra looks up a host's data, with what the inventory says merged once and not at each look.

    Each operation and each fact looks for all of pyinfra's arguments in the data of its host, and seldom finds one:
    that was half of a plan's time.
    """
    inventory_says = self.__dict__.get("merged")
    if inventory_says is None:
        inventory, host = self.host.inventory, self.host
        inventory_says = {
            **inventory.get_data(),
            **inventory.get_groups_data(host.groups),
            **inventory.get_host_data(host.name),
            **inventory.get_override_data(),
        }
        self.__dict__["merged"] = inventory_says
    for data in (self.override_datas, inventory_says, self.host.get_deploy_data()):
        if key in data:
            return copy(data[key])
    raise AttributeError(f"host {self.host} has no data {key}")


HostData.__getattr__ = _looked_up  # type: ignore[method-assign]
if not hasattr(arguments.all_global_arguments, "cache_info"):
    arguments.all_global_arguments = cache(arguments.all_global_arguments)  # each call reads all annotations again
