"""
User-mode Linux: a kernel that is a process, nearly as fast as this computer without any help of its processor.

It is Linux with its own network, modules, disks and cgroups (https://docs.kernel.org/virt/uml/). It has one processor,
neither cpusets nor seccomp, and of nftables only what bridges need: machines have iptables-legacy.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import ClassVar

from lab.vm import disk, room
from lab.vm.computer import Computer

PROGRAM = "linux.uml"
MODULES = Path("/usr/lib/uml/modules")
# Its memory is a file there. A disk would be written to all the time.
SHARED_MEMORY = Path("/dev/shm")


class UserMode(Computer):
    programs: ClassVar = {PROGRAM: "user-mode-linux"}
    remark = ""

    @classmethod
    def modules(cls) -> Path | None:
        release = subprocess.check_output([PROGRAM, "--version"], text=True).strip()
        return MODULES / release

    def command(self) -> list[str]:
        return [
            *("env", f"TMPDIR={self._memory()}", PROGRAM),
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
