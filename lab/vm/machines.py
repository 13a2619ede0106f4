"""Machines that are virtual: a kernel of their own, their own disk, swap and modules."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import uuid
from ipaddress import IPv4Address
from pathlib import Path

from kubeinfra.atomic import write_whole
from kubeinfra.cluster.cluster import Machine
from kubeinfra.errors import KubeinfraError
from lab import engine, keys, network, ssh
from lab.console import Phase
from lab.machines import Found
from lab.names import NAME
from lab.vm import disk, room
from lab.vm.computer import Computer

# By computer, not by checkout, as containers are.
HOME = engine.HOME.with_name("lab-vm-machines")
BOOT_SECONDS = 300
STOP_SECONDS = 120
_READY = Path(__file__).parents[1] / "image" / "root" / "usr" / "local" / "sbin" / "lab-ready"
_RECORD = "machine.json"


class VirtualMachines:
    """
    + name: of the kind
    + prepared: with the packages that a deploy installs, which takes minutes where the processor is emulated
    + computer: what runs them
    """

    def __init__(self, name: str, prepared: bool, computer: type[Computer]) -> None:
        self.name = name
        self.prepared = prepared
        self.computer = computer
        self.home = HOME / NAME / name

    def provide(self, phase: Phase, new: int) -> str:
        self.computer.provide(phase)
        new_disk = disk.Disk(self.name, self.prepared, self.computer.modules())
        room.require(new, not new_disk.is_cached(), self.home)
        image = new_disk.provide(phase)
        if self.computer.remark:
            phase.result += f"; {self.computer.remark}"
        return str(image)

    def found(self) -> dict[str, Found]:
        records = {path.parent: json.loads(path.read_text()) for path in self.home.glob(f"*/{_RECORD}")}
        members = (self._found(directory, record) for directory, record in records.items())
        return {one.name: one for one in members}

    def up(self, machine: Machine, image: str, found: Found | None) -> None:
        computer = self._computer(machine)
        if found is None:
            self._create(machine, Path(image), computer)
        if computer.pid is None:
            computer.start()
        _await_boot(machine, computer)

    def stop(self, machine: Machine) -> None:
        ssh.run(machine.address, "systemctl poweroff", timeout=STOP_SECONDS)
        self._computer(machine).wait_until_off(STOP_SECONDS)

    def cut(self, machine: Machine) -> None:
        self._computer(machine).cut()

    def command(self, machine: Machine, *command: str, terminal: bool = False) -> list[str]:
        return ssh.command(machine.address, *command)

    def systemd_state(self, machine: Machine) -> str:
        try:
            return ssh.run(machine.address, "systemctl is-system-running", timeout=30)[1]
        except ssh.ERRORS:
            return ""

    def remove(self) -> int:
        """Also what was cut short while it was made."""
        there = self.found()
        for one in there.values():
            computer = self.computer(self.home / one.name, IPv4Address(one.address))
            computer.cut()
            computer.unplug()
        shutil.rmtree(self.home, ignore_errors=not self.home.exists())
        return len(there)

    def _computer(self, machine: Machine) -> Computer:
        return self.computer(self.home / machine.name, machine.address)

    def _found(self, directory: Path, record: dict[str, str]) -> Found:
        state = "running" if self.computer(directory, IPv4Address(record["address"])).pid else "exited"
        return Found(directory.name, state, record["address"], record["image"])

    def _create(self, machine: Machine, image: Path, computer: Computer) -> None:
        """A copy of the disk with address and keys. No host name is given: giving names is the deploy's business."""
        directory = computer.directory
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, mode=0o700)
        for file in image.iterdir():
            subprocess.run(["cp", "--sparse=always", file, directory], check=True)
        disk.write_files(
            directory / disk.DISK,
            {
                "/etc/ssh/ssh_host_ed25519_key": (keys.host_key(machine.name)[0], 0o600),
                "/etc/ssh/lab_authorized_keys": (keys.login_key().encode() + b"\n", 0o644),
                "/etc/systemd/network/lan.network": (lan(machine.address).encode(), 0o644),
                # An empty one would be made at the first boot, in a place that SELinux does not let journald read.
                "/etc/machine-id": (uuid.uuid4().hex.encode() + b"\n", 0o444),
            },
        )
        record = {"address": str(machine.address), "image": str(image)}
        write_whole(directory / _RECORD, json.dumps(record))


def lan(address: IPv4Address) -> str:
    """The network card's settings, for systemd-networkd."""
    net, gateway = network.own()
    return (
        "[Match]\nName=en* eth* vec*\n\n[Network]\n"
        f"Address={address}/{net.prefixlen}\nGateway={gateway}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    )


def _await_boot(machine: Machine, computer: Computer) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while refusal := ssh.refusal(machine.address):
        if computer.pid is None:
            raise KubeinfraError(f"{machine.name} has switched itself off: {computer.last_words()}")
        if "does not match" in refusal or "Authentication failed" in refusal:
            raise ssh.refused(machine.name, refusal)
        if time.monotonic() > deadline:
            raise KubeinfraError(
                f"{machine.name} does not come up within {BOOT_SECONDS} s: {refusal}; {computer.last_words()}"
            )
        time.sleep(0.2)
    code, said = ssh.run(machine.address, _READY.read_text(), str(BOOT_SECONDS), timeout=BOOT_SECONDS + 10)
    if code:
        raise KubeinfraError(f"{machine.name} does not come up: {said}")
