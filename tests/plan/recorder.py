"""
Runs inside pyinfra, from the config.py of a simulated project: notes each command that an operation yields or that a
machine gets, whole, in the file that RECORD names. A line of JSON each: operation ("" for a fact), command, stdin.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from functools import wraps
from pathlib import Path
from typing import Any

from pyinfra import api
from pyinfra.api import StringCommand
from pyinfra.connectors.fake import FakeConnector

RECORD = Path(os.environ["RECORD"])


def note(operation: str, command: str | StringCommand, stdin: Any) -> None:
    text = command if isinstance(command, str) else command.get_raw_value()
    lines = stdin if isinstance(stdin, list) else []
    with RECORD.open("a") as record:
        record.write(json.dumps({"operation": operation, "command": text, "stdin": lines}) + "\n")


def noting(decorate: Callable[..., Any]) -> Callable[..., Any]:
    """pyinfra's decorator `operation`, so that the generators that it takes are listened to."""

    def operation(*arguments: Any, **options: Any) -> Callable[..., Any]:
        def decorator(function: Callable[..., Generator[Any, None, None]]) -> Any:
            @wraps(function)
            def listened(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
                for command in function(*args, **kwargs):
                    if isinstance(command, StringCommand):
                        name = f"{function.__module__}.{function.__name__}"
                        note(name, command, command.connector_arguments.get("_stdin"))
                    yield command

            return decorate(*arguments, **options)(listened)

        return decorator

    return operation


def asking(run: Callable[..., Any]) -> Callable[..., Any]:
    def run_shell_command(self: FakeConnector, command: str | StringCommand, *args: Any, **kwargs: Any) -> Any:
        note("", command, None)
        return run(self, command, *args, **kwargs)

    return run_shell_command


if not hasattr(api, "listened_to"):  # pyinfra reads config.py more than once
    api.listened_to = True  # type: ignore[attr-defined]
    api.operation = noting(api.operation)
    FakeConnector.run_shell_command = asking(FakeConnector.run_shell_command)  # type: ignore[method-assign]
