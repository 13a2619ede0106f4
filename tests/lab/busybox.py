"""BusyBox's shell and its small programs on a machine, and what they make of our scripts."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from shlex import quote
from typing import NamedTuple

from laboratory import Lab

# Directories below /run: all of BusyBox's programs; `sh` as the distribution has it; a script.
APPLETS, OWN, SCRIPT = "/run/applets", "/run/own", "/run/script"
PREPARE = f"""\
set -eu
mkdir -p {APPLETS} {OWN}
busybox --list | while read -r applet; do ln -sf "$(command -v busybox)" "{APPLETS}/$applet"; done
for tool; do rm -f "{APPLETS}/$tool"; done
ln -sf "$(command -v dash)" {OWN}/sh
"""
# For bash. Of each line, which is a script as base64: exit code and output, that as base64.
EACH = f"""\
while read -r text; do
    printf %s "$text" | base64 -d >{SCRIPT}
    said=$(RUN {SCRIPT} </dev/null 2>ERRORS | base64 -w 0; exit "${{PIPESTATUS[0]}}")
    echo "$? $said"
done
"""


class Answer(NamedTuple):
    code: int
    lines: tuple[str, ...]


def prepare(lab: Lab, machine: str, needed: Iterable[str]) -> None:
    """+ needed: programs that are to stay the distribution's"""
    lab.run(machine, f"set -- {' '.join(needed)}\n{PREPARE}")


def unreadable(lab: Lab, machine: str, scripts: Sequence[str]) -> list[str]:
    """Those that its shell cannot read, each with what it says."""
    found = _each(lab, machine, "busybox sh -n", "/dev/stdout", scripts)
    return [f"{answer}\n{script}" for answer, script in zip(found, scripts, strict=True) if answer != Answer(0, ())]


def answers(lab: Lab, machine: str, scripts: Sequence[str]) -> list[Answer]:
    """By its shell, its programs first in PATH."""
    return _each(lab, machine, f"env LC_ALL=C PATH={APPLETS}:$PATH busybox sh", "/dev/null", scripts)


def own_answers(lab: Lab, machine: str, scripts: Sequence[str]) -> list[Answer]:
    """By the distribution's own."""
    return _each(lab, machine, f"env LC_ALL=C PATH={OWN}:$PATH dash", "/dev/null", scripts)


def _each(lab: Lab, machine: str, run: str, errors: str, scripts: Sequence[str]) -> list[Answer]:
    loop = EACH.replace("RUN", run).replace("ERRORS", errors)
    sent = "".join(f"{b64encode(script.encode()).decode()}\n" for script in scripts)
    rows = [line.split(" ") for line in lab.run(machine, f"exec bash -c {quote(loop)}", stdin=sent).splitlines()]
    assert len(rows) == len(scripts), "each should have been answered"
    return [Answer(int(code), tuple(b64decode(text).decode().splitlines())) for code, text in rows]
