"""Virtual machines of the lab: what is decided before a processor is emulated, and files on a real small disk."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.cluster.settings import Settings
from kubeinfra.errors import KubeinfraError
from lab import image, kinds
from lab.inventory import Inventory
from lab.vm import disk, room
from lab.vm.qemu import Qemu
from lab.vm.user_mode import UserMode

ROOT = Path(__file__).resolve().parents[2]
# A program of its own: reading starts another process, which reads the program again.
ASK = """
from pathlib import Path
from lab.inventory import read
if __name__ == "__main__":
    print(read(Path("inventory.py")).kinds)
"""
NODE = Machine("node03", "node03", IPv4Address("192.168.80.15"), frozenset({"node"}))


class TestRoom:
    def lacking(self, memory: int, disk: int, new: int = 2, build: bool = False) -> list[str]:
        return room.lacking(new, build, memory, disk, Path("/cache"))

    def test_enough_is_no_problem(self) -> None:
        assert self.lacking(memory=2 * (room.MEMORY_MIB + room.OWN_MIB), disk=2 * room.DISK_MIB) == []

    def test_memory_and_disk_are_told_with_found_and_wanted(self) -> None:
        memory, space = self.lacking(memory=100, disk=200)
        assert "2 virtual machines do not fit into memory: found 100 MiB, wanted 5720 MiB" in memory
        assert "the disk of /cache: found 200 MiB, wanted 8192 MiB" in space

    def test_a_disk_that_must_be_made_first_takes_room_too(self) -> None:
        assert self.lacking(memory=10_000, disk=2 * room.DISK_MIB, build=True)

    def test_machines_that_are_there_need_no_more(self) -> None:
        assert self.lacking(memory=0, disk=0, new=0) == []

    def test_available_memory_is_read_in_mib(self) -> None:
        assert room.available_mib("MemTotal: 8388608 kB\nMemAvailable:    2097152 kB\n") == 2048


class TestDisk:
    PREPARED = disk.Disk("vm", prepared=True)
    USER_MODE = disk.Disk("uml", prepared=True, modules=Path("/usr/lib/uml/modules/6.1.176"))

    def test_disks_of_different_kinds_have_different_recipes(self) -> None:
        bare = disk.Disk("vm", prepared=False)
        later = self.USER_MODE._replace(modules=Path("/usr/lib/uml/modules/6.1.177"))
        digests = {image.digest(one.recipe()) for one in (self.PREPARED, bare, self.USER_MODE, later)}
        assert len(digests) == 4
        assert {"vm/recipe/setup", "vm/recipe/packages", "image/packages"} <= self.PREPARED.recipe().keys()

    def test_a_kernel_is_on_the_disk_unless_it_is_a_program(self) -> None:
        assert "linux-image-cloud-amd64" in self.PREPARED.packages()[0]
        assert "linux-image-cloud-amd64" not in self.USER_MODE.packages()[0]

    def test_a_bare_machine_has_nothing_that_a_deploy_brings(self) -> None:
        bare, added = disk.Disk("bare-vm", prepared=False).packages()
        assert not set(bare) & set(added)
        assert {"docker.io", "apparmor", "ipvsadm", "conntrack", "chrony"} <= set(added)

    def test_files_are_put_into_a_disk_that_is_not_mounted(self, tmp_path: Path) -> None:
        """As root's, with their permissions, and in place of older ones."""
        file, root = tmp_path / "disk.img", tmp_path / "root"
        (root / "etc" / "ssh").mkdir(parents=True)
        (root / "etc" / "ssh" / "key").write_text("older")
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(file), "8M"], check=True)
        disk.write_files(file, {"/etc/ssh/key": (b"secret\n", 0o600), "/etc/lan": (b"[Match]\n", 0o644)})
        stat = subprocess.check_output(
            ["debugfs", "-R", "stat /etc/ssh/key", str(file)], text=True, stderr=subprocess.DEVNULL
        )
        assert "Mode:  0600" in stat and "User:     0" in stat and "Type: regular" in stat, stat
        subprocess.run(["e2fsck", "-fn", str(file)], check=True, capture_output=True)

    def test_what_cannot_be_put_there_is_told(self, tmp_path: Path) -> None:
        file = tmp_path / "disk.img"
        subprocess.run(["mke2fs", "-q", "-t", "ext4", str(file), "8M"], check=True)
        with pytest.raises(KubeinfraError, match="/etc/ssh/key"):
            disk.write_files(file, {"/etc/ssh/key": (b"secret", 0o600)})


class TestComputer:
    def test_names_on_the_network_follow_from_the_address(self, tmp_path: Path) -> None:
        computer = Qemu(tmp_path, IPv4Address("192.168.80.15"))
        assert (computer.tap, computer.mac) == ("vmc0a8500f", "52:54:c0:a8:50:0f")
        assert len(computer.tap) <= 15, "IFNAMSIZ"

    def test_a_pid_file_that_outlived_its_process_is_nobody(self, tmp_path: Path) -> None:
        computer = Qemu(tmp_path, IPv4Address("192.168.80.15"))
        assert computer.pid is None
        (tmp_path / "pid").write_text("1\n")  # somebody else's by now
        assert computer.pid is None

    def test_the_kernel_of_user_mode_is_told_what_its_directory_says(self, tmp_path: Path) -> None:
        computer = UserMode(tmp_path, IPv4Address("192.168.80.15"))
        assert computer.command()[-2:] == ["security=selinux", "selinux=1"]
        (tmp_path / "kernel-arguments").write_text("security=apparmor\n")
        assert computer.command()[-1] == "security=apparmor"

    def test_a_computer_that_is_on_is_switched_off_with_all_its_processes(self, tmp_path: Path) -> None:
        class Sleeper(UserMode):
            def command(self) -> list[str]:
                return ["sh", "-c", f": {self.directory}; sleep 300 & echo $!; wait"]

            def _plug_in(self) -> None:
                pass

        computer = Sleeper(tmp_path, IPv4Address("192.168.80.15"))
        computer.start()
        log = tmp_path / "console.log"
        while not log.read_text():
            time.sleep(0.01)
        assert computer.pid
        computer.cut()
        assert computer.pid is None
        state = Path("/proc", log.read_text().strip(), "stat")
        deadline = time.monotonic() + 10
        while state.exists() and " Z " not in state.read_text():
            assert time.monotonic() < deadline, "its other processes should be gone too"
            time.sleep(0.01)


class TestKinds:
    def inventory(self, **said: str) -> Inventory:
        return Inventory(Cluster((NODE,), Settings()), said, [])

    def test_an_unknown_kind_is_told_with_those_that_there_are(self) -> None:
        with pytest.raises(KubeinfraError, match='node03: lab_machine is "vms", wanted one of container, debian-11'):
            kinds.plan(self.inventory(node03="vms"), {})

    def test_the_image_of_containers_is_always_needed(self) -> None:
        vm = next(kind for kind in kinds.KINDS if kind.name == "vm")
        assert [kind.name for kind in kinds.used([vm])] == ["container", "vm"]

    def test_an_inventory_says_which_machines_are_virtual(self, tmp_path: Path) -> None:
        """And the deploy, which reads the same inventory, does not mind."""
        (tmp_path / "inventory.py").write_text(
            'machines = [("a", {"address": "10.1.0.1"}), ("b", {"address": "10.1.0.2", "lab_machine": "vm"})]\n'
            'master = etcd = ["a"]\n'
            'node = ["b"]\n'
        )
        (tmp_path / "ask.py").write_text(ASK)
        said = subprocess.check_output(
            [sys.executable, "ask.py"], cwd=tmp_path, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        assert said == "{'b': 'vm'}\n"
