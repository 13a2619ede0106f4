"""What machines were sent in runs of pyinfra that tests/plan/recorder.py has listened to."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.unit.shell_check import units_commands

RECORDER = Path(__file__).with_name("plan") / "recorder.py"


@dataclass(frozen=True)
class Sent:
    """
    A command, and its standard input.

    + machine: its name in the inventory
    + operation: module and name of what sends it; "" for a fact, and for each command as the machine gets it
    + is_fact: whether it only reads
    """

    machine: str
    operation: str
    is_fact: bool
    command: str
    stdin: list[str]


def recording(record: Path) -> str:
    """Further lines of a config.py, so that what is sent is noted in this file."""
    return f"\nimport runpy\nrunpy.run_path({str(RECORDER)!r}, {{'RECORD': {str(record)!r}}})\n"


def read(record: Path) -> list[Sent]:
    return [Sent(**json.loads(line)) for line in record.read_text().splitlines()]


def files(commands: Iterable[Sent]) -> Iterator[str]:
    """Texts that the script of kubeinfra/machine/wanted.py is given on its standard input."""
    for line in (line for one in commands for line in one.stdin):
        kind, *rest = line.split(" ")
        if kind in ("file", "inplace", "checked", "checked-secret"):
            yield b64decode(rest[2]).decode(errors="replace")


def scripts(commands: list[Sent]) -> Iterator[str]:
    """All shell in them: the commands themselves, files that are scripts, and lines of units."""
    yield from (one.command for one in commands)
    for text in files(commands):
        if text.startswith("#!"):
            yield text
        yield from units_commands(text)
