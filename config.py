"""How pyinfra itself behaves in this project."""

import socket
from typing import Any

from gevent.hub import Hub
from paramiko.transport import Transport
from pyinfra import config
from pyinfra.api.exceptions import PyinfraError

from kubeinfra.run import login_shell, lookups, output
from kubeinfra.run.user_files import without_traceback

config.REQUIRE_PYINFRA_VERSION = "~=3.10"
config.FAIL_PERCENT = 0  # the first host that fails stops the run: what follows may depend on it

# A message for the user, which pyinfra shows at the end; without this, gevent prints a traceback before it.
Hub.NOT_ERROR = (*Hub.NOT_ERROR, PyinfraError)
without_traceback()
output.install()
lookups.install()
login_shell.install()


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
