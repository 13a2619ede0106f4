"""Addresses where no ssh server answers as one should: a line for each machine, and never a traceback."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Event, Thread

import pytest
from simulated import Project

ENDED = Event()


class Silent(BaseRequestHandler):
    def handle(self) -> None:
        ENDED.wait(60)


class Closing(BaseRequestHandler):
    def handle(self) -> None:
        pass


class Web(BaseRequestHandler):
    """Another protocol, which speaks first."""

    def handle(self) -> None:
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 200)


@pytest.fixture
def servers() -> Iterator[dict[str, int]]:
    """Kind -> its port on this machine; nobody listens on that of "nobody"."""
    with ExitStack() as stack:
        ports = {}
        for kind in (Silent, Closing, Web):
            server = stack.enter_context(ThreadingTCPServer(("127.0.0.1", 0), kind))
            stack.callback(server.shutdown)
            Thread(target=server.serve_forever, daemon=True).start()
            ports[kind.__name__.lower()] = server.server_address[1]
        nobody = stack.enter_context(socket.socket())
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        stack.callback(ENDED.set)
        yield {**ports, "nobody": nobody.getsockname()[1]}


def test_a_machine_that_is_no_ssh_server_is_told_in_a_line(project: Project, servers: dict[str, int]) -> None:
    lines = [
        f'("{name}", {{"ssh_hostname": "127.0.0.1", "ssh_port": {port}, "address": "192.168.80.{last}"}})'
        for last, (name, port) in enumerate(servers.items(), 10)
    ]
    groups = "master = etcd = ['silent']\nnode = ['closing', 'web', 'nobody']\nlb = []\n"
    (project.directory / "inventory.py").write_text(f"machines = [{', '.join(lines)}]\n{groups}")
    ran = project.run("--dry", "inventory.py", "deploy.py")
    assert ran.code == 1
    assert "Traceback" not in ran.err + ran.out and "Exception" not in ran.err + ran.out, ran.err
    told = dict(re.findall(r"^ *\[(\w+)\] +(?!is being connected)(.*)$", ran.err, re.MULTILINE))
    assert sorted(told) == sorted(servers), ran.err
    assert told["silent"] == "SSH error (Error reading SSH protocol banner)"
    assert ran.err.rstrip().endswith("--> pyinfra error: No hosts remaining!")
