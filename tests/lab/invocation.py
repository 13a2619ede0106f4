"""One run of a command as the user would start it, with what can be measured from outside."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

# What a core takes for WORK when nobody shares it, of those that the limits in seconds are for.
QUIET_CORE = 0.45
WORK = "import time\nfor _ in range(30_000_000): pass\nprint(time.process_time())"
# The end of a phase, in our own words or (with -v) as pyinfra tells of an operation.
PHASE = re.compile(r"(?:--> Starting operation: --- |--- [\d.]+ s  )(.+?)(?: \([\d.]+ s\))?$")
# A wait that takes longer than usual, said again and again: whether it is depends on how busy this machine is.
WAITING = " s so far"
# What is told of one machine or of several together, and lines of a diff below it.
TOLD = re.compile(r" *\[([\w. -]+)\] +(.*)$")


@dataclass(frozen=True)
class Invocation:
    """
    What one run did.

    + code: exit code, negative for a signal
    + seconds: wall clock; peak_megabytes: the largest resident set of its process
    + output: standard output, which is JSON with `--json`
    + said: lines of standard error, each with the seconds at which it came
    """

    command: tuple[str, ...]
    code: int
    seconds: float
    peak_megabytes: float
    output: str
    said: tuple[tuple[float, str], ...]

    @property
    def text(self) -> str:
        """All that the user would have seen."""
        return "\n".join([*(line for _, line in self.said), self.output])

    @property
    def changes(self) -> dict[str, list[str]]:
        """Operations that changed something -> the hosts; needs `--json`."""
        operations = self._document["results"]["operations"]
        return {one["name"]: one["success"] + one["error"] for one in operations if one["success"] or one["error"]}

    @property
    def planned(self) -> dict[str, list[str]]:
        """Operations that a plan would carry out -> the hosts; needs `--dry --json`."""
        keys = ("hosts_with_change", "hosts_with_conditional_change")
        found = {one["name"]: [host for key in keys for host in one[key]] for one in self._document["plan"]}
        return {name: hosts for name, hosts in found.items() if hosts}

    @property
    def _document(self) -> Any:
        assert self.code == 0, f"{self} should have ended well:\n{self.text}"
        return json.loads(self.output)

    @property
    def phases(self) -> dict[str, float]:
        """What was reached at the end of each phase -> seconds after the start at which all machines had."""
        return {found[1]: at for at, line in self.said if (found := PHASE.match(line))}

    def told(self, machine: str) -> list[str]:
        """The sentences about a machine, alone or with others, and the lines of their diffs; without waits."""
        sentences: list[str] = []
        about: list[str] = []
        for _, line in self.said:
            if found := TOLD.match(line):
                about, line = found[1].split(), found[2]
            elif not line.startswith("        "):
                about = []
            if machine in about and not line.endswith(WAITING):
                sentences.append(line.strip())
        return sentences

    def __str__(self) -> str:
        return " ".join(self.command)


def ends(phase: str) -> Callable[[str], bool]:
    """Whether a line says that all machines have come to the end of this phase."""

    def says_so(line: str) -> bool:
        found = PHASE.match(line.rstrip())
        return found is not None and found[1] == phase

    return says_so


def slowness() -> float:
    """
    By how much a limit in seconds must be stretched on this machine just now, all cores taken together: 1 when nobody
    shares them, 2 where a neighbour on the same hardware takes half of what they can do, which does not show in the
    load. In seconds of the processor: what else runs on this machine does not count.
    """
    work = [sys.executable, "-c", WORK]
    cores = [subprocess.Popen(work, stdout=subprocess.PIPE, text=True) for _ in range(os.cpu_count() or 1)]
    seconds = [float(core.communicate()[0]) for core in cores]
    return max(1.0, sum(seconds) / len(seconds) / QUIET_CORE)


def phase_table(deploys: Mapping[str, Invocation]) -> list[str]:
    """The phases of several deploys side by side, in seconds after the start; + deploys: by title of a column."""
    names = list(dict.fromkeys(name for one in deploys.values() for name in one.phases))
    table = Table("phase", *deploys, box=None)
    for name in names:
        table.add_row(name, *(f"{one.phases[name]:.1f}" if name in one.phases else "" for one in deploys.values()))
    table.add_row("whole", *(f"{one.seconds:.1f}" for one in deploys.values()))
    console = Console(width=100, file=io.StringIO())
    with console.capture() as shown:
        console.print(table)
    return [line.rstrip() for line in shown.get().splitlines()]


def invoke(
    command: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    timeout: float = 300,
    kill_when: Callable[[str], bool] | None = None,
) -> Invocation:
    """
    Run a command to its end, or kill it (SIGKILL: it cannot tidy up) at the first line of standard error for which
    `kill_when` says so. AssertionError after `timeout` seconds.
    """
    started = time.monotonic()
    said: list[tuple[float, str]] = []
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        deadline = threading.Timer(timeout, process.kill)
        deadline.start()
        assert process.stderr is not None
        for line in process.stderr:
            said.append((time.monotonic() - started, line.rstrip()))
            if kill_when and kill_when(line):
                process.kill()
                kill_when = None
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        deadline.cancel()
        output.seek(0)
        text = output.read()
    last = "\n".join(line for _, line in said[-30:])
    assert seconds < timeout, f"{' '.join(command)} should have ended within {timeout} s; the last it said:\n{last}"
    return Invocation(tuple(command), process.returncode, seconds, usage.ru_maxrss / 1024, text, tuple(said))
