"""ssh connections that do not wait, neither 40 ms with every command nor for ever, and fail in one line."""

from __future__ import annotations

import logging
import socket
from typing import Any

from paramiko.transport import Transport

BANNER = 8.0
"""
Seconds in which a server must say that it speaks ssh: less than pyinfra's CONNECT_TIMEOUT (10), at whose end paramiko
has only "No existing session" to say.
"""


def install() -> None:
    """Of every connection that paramiko makes from now on."""
    log = logging.getLogger("paramiko")
    if not log.handlers:
        # What it logs with a traceback it also raises, which pyinfra shows. With --debug-all, logs are shown as ever.
        log.addHandler(logging.NullHandler())
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
        self.banner_timeout = BANNER
        if isinstance(self.sock, socket.socket):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; milliseconds that an answer may take
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000)

    return tuned
