"""How pyinfra itself behaves in this project."""

import socket
from typing import Any

from gevent.hub import Hub
from paramiko.transport import Transport
from pyinfra import config
from pyinfra.api.exceptions import PyinfraError

config.REQUIRE_PYINFRA_VERSION = "~=3.10"
config.FAIL_PERCENT = 0  # the first host that fails stops the run: what follows may depend on it

# A message for a person, which pyinfra shows at the end; gevent would print a traceback before it.
Hub.NOT_ERROR = (*Hub.NOT_ERROR, PyinfraError)


def _without_delay(connect: Any) -> Any:
    """paramiko leaves Nagle's algorithm on, which costs about 40 ms with every command."""

    def init(self: Transport, *args: Any, **kwargs: Any) -> None:
        connect(self, *args, **kwargs)
        if isinstance(self.sock, socket.socket):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    return init


if Transport.__init__.__name__ != "init":
    Transport.__init__ = _without_delay(Transport.__init__)  # type: ignore[method-assign]
