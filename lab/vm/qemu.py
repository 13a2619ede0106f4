"""One emulated computer: its files, the process that runs it, and its cable to the lab's bridge."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from ipaddress import IPv4Address
from pathlib import Path

from kubeinfra.errors import KubeinfraError
from lab.names import BRIDGE
from lab.vm import disk, room

CORES = 2
# Containers go first where both want the processor: an emulated machine is slow anyhow.
NICE = 5
GONE_SECONDS = 60
# x86-64-v2 and what speeds ssh up; with all that can be emulated ("max") a boot takes a quarter more of the processor.
EMULATED_CPU = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq,+rdrand,-svm"
# mitigations: against neighbours that an emulator does not have.
KERNEL_ARGUMENTS = "root=/dev/vda rw console=ttyS0 mitigations=off"


class Computer:
    """+ directory: where its disks, its console's log and its pid file are; + address: its own in the lab"""

    def __init__(self, directory: Path, address: IPv4Address) -> None:
        self.directory = directory
        self.address = address

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
        """Of the emulator, while it runs."""
        try:
            pid = int((self.directory / "pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        return pid if str(self.directory).encode() in command else None

    def start(self) -> None:
        """Switch it on; what its kernel says goes into console.log."""
        self._plug_in()
        done = subprocess.run(["nice", "-n", str(NICE), *self.command()], capture_output=True, text=True)
        if done.returncode:
            raise KubeinfraError(f"{self.directory.name}: qemu does not start: {done.stderr.strip()}")

    def command(self) -> list[str]:
        """
        Disks are not flushed (cache=unsafe): what the guest has written is in this computer's memory all the same, and
        a machine whose power is cut loses as much as a real one does, namely what it had not written.
        """
        disks = (self.directory / name for name in (disk.DISK, disk.SWAP))
        return [
            "qemu-system-x86_64",
            *("-name", self.directory.name, "-machine", "q35", *_accelerator()),
            *("-m", str(room.MEMORY_MIB), "-smp", str(CORES)),
            *("-kernel", str(self.directory / disk.KERNEL), "-initrd", str(self.directory / disk.INITRD)),
            *("-append", KERNEL_ARGUMENTS),
            *(word for path in disks for word in ("-drive", f"file={path},format=raw,if=virtio,cache=unsafe")),
            *("-netdev", f"tap,id=lan,ifname={self.tap},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=lan,mac={self.mac}", "-device", "virtio-rng-pci"),
            *("-display", "none", "-serial", f"file:{self.directory / 'console.log'}", "-monitor", "none"),
            *("-daemonize", "-pidfile", str(self.directory / "pid")),
        ]

    def cut(self) -> None:
        """Take its power away; wait until its memory is free again."""
        if pid := self.pid:
            os.kill(pid, signal.SIGKILL)
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


def _accelerator() -> tuple[str, ...]:
    return ("-accel", "kvm", "-cpu", "host") if room.has_kvm() else ("-accel", "tcg,thread=multi", "-cpu", EMULATED_CPU)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise KubeinfraError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
