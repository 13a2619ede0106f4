"""ssh connections that do not wait: neither 40 ms with every command nor for ever."""

from __future__ import annotations

import socket
from typing import Any

from paramiko.transport import Transport


def install() -> None:
    """Of every connection that paramiko makes from now on."""
    if Transport.__init__.__name__ != "tuned":  # config.py is read more than once
        Transport.__init__ = _tuned(Transport.__init__)  # type: ignore[method-assign]


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
