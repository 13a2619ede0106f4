"""
Runs inside pyinfra, from the config.py of a project of the tests: notes each command that an operation yields or that a
machine gets, whole, in the file RECORD, a global that it is given. A line of JSON each, as tests.sent.Sent has it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from functools import wraps
from pathlib import Path
from typing import Any

from pyinfra import api, host
from pyinfra.api import StringCommand
from pyinfra.api.host import Host
from pyinfra.connectors.base import BaseConnector
from pyinfra.connectors.fake import FakeConnector
from pyinfra.connectors.ssh import SSHConnector

NOTED = Path(globals()["RECORD"])
READING: set[str] = set()
"""Machines that are asked for a fact just now; of each, one greenlet is at work."""


def note(machine: str, operation: str, command: str | StringCommand, stdin: Any, is_fact: bool = False) -> None:
    text = command if isinstance(command, str) else command.get_raw_value()
    lines = stdin if isinstance(stdin, list) else []
    line = {"machine": machine, "operation": operation, "is_fact": is_fact, "command": text, "stdin": lines}
    with NOTED.open("a") as record:
        record.write(json.dumps(line) + "\n")


def noting(decorate: Callable[..., Any]) -> Callable[..., Any]:
    """pyinfra's decorator `operation`, so that the generators that it takes are listened to."""

    def operation(*arguments: Any, **options: Any) -> Callable[..., Any]:
        def decorator(function: Callable[..., Generator[Any, None, None]]) -> Any:
            @wraps(function)
            def listened(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
                for command in function(*args, **kwargs):
                    if isinstance(command, StringCommand):
                        name = f"{function.__module__}.{function.__name__}"
                        note(host.name, name, command, command.connector_arguments.get("_stdin"))
                    yield command

            return decorate(*arguments, **options)(listened)

        return decorator

    return operation


def asking(run: Callable[..., Any]) -> Callable[..., Any]:
    def run_shell_command(self: BaseConnector, command: str | StringCommand, *args: Any, **kwargs: Any) -> Any:
        note(self.host.name, "", command, None, is_fact=self.host.name in READING)
        return run(self, command, *args, **kwargs)

    return run_shell_command


def reading(get_fact: Callable[..., Any]) -> Callable[..., Any]:
    def listened(self: Host, *args: Any, **kwargs: Any) -> Any:
        READING.add(self.name)
        try:
            return get_fact(self, *args, **kwargs)
        finally:
            READING.discard(self.name)

    return listened


if not hasattr(api, "listened_to"):  # pyinfra reads config.py more than once
    api.listened_to = True  # type: ignore[attr-defined]
    api.operation = noting(api.operation)
    Host.get_fact = reading(Host.get_fact)  # type: ignore[method-assign]
    for connector in (FakeConnector, SSHConnector):
        connector.run_shell_command = asking(connector.run_shell_command)  # type: ignore[method-assign]
