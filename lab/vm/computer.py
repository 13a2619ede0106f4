"""One computer with a kernel of its own: its files, the process that runs it, and its cable to the lab's bridge."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import ClassVar

from kubeinfra.errors import KubeinfraError
from lab.console import Phase
from lab.names import BRIDGE
from lab.vm import room

# Containers go first where both want the processor: a virtual machine is slow anyhow.
NICE = 5
GONE_SECONDS = 60


class Computer(ABC):
    """+ directory: where its disks, its console's log and its pid file are; + address: its own in the lab"""

    programs: ClassVar[Mapping[str, str]]
    """Program that it needs of this computer -> the Debian package that has it."""
    remark: ClassVar[str]
    """What a user should know of it while it comes up."""

    def __init__(self, directory: Path, address: IPv4Address) -> None:
        self.directory = directory
        self.address = address

    @classmethod
    def provide(cls, phase: Phase) -> None:
        """Bring what runs it to this computer; KubeinfraError where that cannot be."""
        room.provide_programs(phase, cls.programs)

    @classmethod
    def modules(cls) -> Path | None:
        """The modules of its kernel, where it is not one of those that are on its disk."""
        return None

    @abstractmethod
    def command(self) -> list[str]:
        """The process that is the computer, in the foreground; what its kernel says goes to standard output."""

    @property
    def tap(self) -> str:
        """Its end of the cable on this computer; at most 15 characters."""
        return f"vm{self.address.packed.hex()}"

    @property
    def mac(self) -> str:
        """Locally administered, and of no other address."""
        return "52:54:" + self.address.packed.hex(":")

    @property
    def pid(self) -> int | None:
        """Of that process, while it runs."""
        try:
            pid = int((self.directory / "pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        return pid if str(self.directory).encode() in command else None

    def start(self) -> None:
        """Switch it on, in a session of its own, so that it outlives us; what its kernel says goes into console.log."""
        self._plug_in()
        with (self.directory / "console.log").open("wb") as log:
            process = subprocess.Popen(
                ["nice", "-n", str(NICE), *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        (self.directory / "pid").write_text(f"{process.pid}\n")

    def cut(self) -> None:
        """Take its power away; wait until its memory is free again."""
        if pid := self.pid:
            os.killpg(pid, signal.SIGKILL)
        self.wait_until_off(GONE_SECONDS)

    def wait_until_off(self, seconds: float) -> None:
        """KubeinfraError if it still runs after so many seconds."""
        deadline = time.monotonic() + seconds
        while self.pid:
            if time.monotonic() > deadline:
                raise KubeinfraError(f"{self.directory.name} is not off after {seconds:.0f} s: {self.last_words()}")
            time.sleep(0.2)

    def unplug(self) -> None:
        """Remove the cable."""
        if Path("/sys/class/net", self.tap).exists():
            _ip("link", "delete", self.tap)

    def last_words(self) -> str:
        """The end of what its kernel and systemd have said on the console."""
        log = self.directory / "console.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return f"{log} ends with: " + " | ".join(line.strip() for line in lines[-5:])

    def _plug_in(self) -> None:
        if not Path("/sys/class/net", self.tap).exists():
            _ip("tuntap", "add", "dev", self.tap, "mode", "tap")
        _ip("link", "set", self.tap, "master", BRIDGE, "up")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise KubeinfraError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
