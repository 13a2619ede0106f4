"""Machines that are virtual: a kernel of their own, their own disk, swap and modules; emulated, so slow."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from ipaddress import IPv4Address
from pathlib import Path

from kubeinfra.atomic import write_whole
from kubeinfra.cluster.cluster import Machine
from kubeinfra.errors import KubeinfraError
from lab import engine, keys, network, ssh
from lab.console import Phase
from lab.machines import Found
from lab.vm import disk, room
from lab.vm.qemu import Computer

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
    """

    def __init__(self, name: str, prepared: bool) -> None:
        self.name = name
        self.prepared = prepared
        self.home = HOME / name

    def provide(self, phase: Phase, new: int) -> str:
        room.provide_programs(phase)
        room.require(new, not disk.is_cached(self.prepared), self.home)
        image = disk.provide(phase, self.prepared)
        if not room.has_kvm():
            phase.result += "; no KVM here: emulated, everything takes several times as long"
        return str(image)

    def found(self) -> dict[str, Found]:
        records = {path.parent: json.loads(path.read_text()) for path in self.home.glob(f"*/{_RECORD}")}
        members = (_found(directory, record) for directory, record in records.items())
        return {one.name: one for one in members}

    def up(self, machine: Machine, image: str, found: Found | None) -> None:
        computer = _computer(self.home / machine.name, machine.address)
        if found is None:
            self._create(machine, Path(image), computer)
        if computer.pid is None:
            computer.start()
        _await_boot(machine, computer)

    def stop(self, machine: Machine) -> None:
        ssh.run(machine.address, "systemctl poweroff", timeout=STOP_SECONDS)
        _computer(self.home / machine.name, machine.address).wait_until_off(STOP_SECONDS)

    def cut(self, machine: Machine) -> None:
        _computer(self.home / machine.name, machine.address).cut()

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
            computer = _computer(self.home / one.name, one.address)
            computer.cut()
            computer.unplug()
        shutil.rmtree(self.home, ignore_errors=not self.home.exists())
        return len(there)

    def _create(self, machine: Machine, image: Path, computer: Computer) -> None:
        """A copy of the disk with address and keys. No host name is given: giving names is the deploy's business."""
        directory = computer.directory
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, mode=0o700)
        for name in (disk.DISK, disk.SWAP, disk.KERNEL, disk.INITRD):
            subprocess.run(["cp", "--sparse=always", image / name, directory / name], check=True)
        disk.write_files(
            directory / disk.DISK,
            {
                "/etc/ssh/ssh_host_ed25519_key": (keys.host_key(machine.name)[0], 0o600),
                "/etc/ssh/lab_authorized_keys": (keys.login_key().encode() + b"\n", 0o644),
                "/etc/systemd/network/lan.network": (lan(machine.address).encode(), 0o644),
            },
        )
        record = {"address": str(machine.address), "image": str(image)}
        write_whole(directory / _RECORD, json.dumps(record))


def lan(address: IPv4Address) -> str:
    """The network card's settings, for systemd-networkd."""
    net, gateway = network.own()
    return (
        "[Match]\nName=en* eth*\n\n[Network]\n"
        f"Address={address}/{net.prefixlen}\nGateway={gateway}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    )


def _found(directory: Path, record: dict[str, str]) -> Found:
    state = "running" if _computer(directory, record["address"]).pid else "exited"
    return Found(directory.name, state, record["address"], record["image"])


def _computer(directory: Path, address: IPv4Address | str) -> Computer:
    return Computer(directory, IPv4Address(address))


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
