"""
User-mode Linux: a kernel that is a process, nearly as fast as this computer without any help of its processor.

It is Linux with its own network, modules, disks and cgroups (https://docs.kernel.org/virt/uml/). It has one processor,
neither cpusets nor seccomp, and of nftables only what bridges need: machines have iptables-legacy.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar

from kubeinfra.atomic import whole_directory
from lab import debian
from lab.console import Phase
from lab.process import run
from lab.vm import disk, room
from lab.vm.computer import Computer

# Debian 13's, 6.12, which starts a program in six tenths of the time that Debian 12's, 6.1, takes. It is not installed
# but unpacked, with the libc that it needs, as this computer may be older.
SUITE = "trixie"
TREE = disk.CACHE / f"user-mode-linux-{SUITE}"
PROGRAM = TREE / "usr/bin/linux.uml"
LIBRARIES = TREE / "usr/lib/x86_64-linux-gnu"
# Its memory is a file there. A disk would be written to all the time.
SHARED_MEMORY = Path("/dev/shm")


class UserMode(Computer):
    programs: ClassVar = {"patchelf": "patchelf"}
    remark = ""

    @classmethod
    def provide(cls, phase: Phase) -> None:
        super().provide(phase)
        if TREE.is_dir():
            return
        phase.note("unpacking a kernel from Debian's packages")
        with whole_directory(TREE, 0o755) as tree:
            options = ("--variant=extract", "--format=directory")
            debian.bootstrap(phase, ["user-mode-linux"], tree, *options, suite=SUITE)
            loader = LIBRARIES / "ld-linux-x86-64.so.2"
            linked = ("--set-interpreter", str(loader), "--set-rpath", str(LIBRARIES))
            run(phase, "patchelf", *linked, str(tree / PROGRAM.relative_to(TREE)))

    @classmethod
    def modules(cls) -> Path | None:
        return next((TREE / "usr/lib/uml/modules").iterdir())

    def command(self) -> list[str]:
        return [
            *("env", f"TMPDIR={self._memory()}", str(PROGRAM)),
            *(f"mem={room.MEMORY_MIB}M", f"uml_dir={self.directory}", "umid=uml"),
            *(f"ubd0={self.directory / disk.DISK}", f"ubd1={self.directory / disk.SWAP}", "root=/dev/ubda", "rw"),
            *("con=null", "con0=null,fd:1"),
            f"vec0:transport=tap,ifname={self.tap},depth=128,gro=1,mac={self.mac}",
            *self.kernel_arguments(),
        ]

    def kernel_arguments(self) -> list[str]:
        """Those of its directory's file, which the next start reads; else SELinux, as its configuration has it."""
        own = self.directory / "kernel-arguments"
        return own.read_text().split() if own.exists() else ["security=selinux", "selinux=1"]

    def _memory(self) -> Path:
        roomy = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free >> 20 > room.MEMORY_MIB
        return SHARED_MEMORY if roomy else self.directory
