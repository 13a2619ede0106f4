"""What a virtual machine needs of this computer: programs, memory, disk, and a processor that can be lent."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path

from kubeinfra.errors import KubeinfraError
from lab import engine
from lab.console import Phase

# Of every kind: program -> the Debian package that has it.
PROGRAMS = {
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "mkswap": "util-linux",
    "ip": "iproute2",
}
MEMORY_MIB = 2560
"""Of each machine: kubelet, Docker and a handful of pods take less than 1 GiB, and preflight asks for 2."""
OWN_MIB = 300
"""What the emulator takes besides, most of it for translated code."""
DISK_MIB = 4096
"""What a node's disk grows to; it is a file with holes."""
IMAGE_MIB = 3072
"""The disk that the others are copied from, and what it is made of."""


def provide_programs(phase: Phase, programs: Mapping[str, str]) -> None:
    """
    Install what is missing; KubeinfraError where that cannot be, or no virtual machine can run here at all.

    + programs: of the kind, as PROGRAMS
    """
    if os.geteuid() != 0:
        raise KubeinfraError(f"virtual machines {_CANNOT}: run the lab as root (it makes a tap device for each)")
    if platform.machine() != "x86_64":
        raise KubeinfraError(f"virtual machines {_CANNOT}: they are x86_64, this computer is {platform.machine()}")
    if not os.environ.get("DOCKER_HOST", "unix:").startswith("unix:"):
        raise KubeinfraError(f"virtual machines {_CANNOT}: the Docker engine, on whose network they are, is elsewhere")
    if missing := missing_packages({**PROGRAMS, **programs}):
        if not engine.can_install_packages():
            raise KubeinfraError(
                f"virtual machines {_CANNOT}: install {', '.join(missing)} (as Debian calls them); "
                "root on Debian or Ubuntu need not"
            )
        engine.install_packages(phase, *missing)


def missing_packages(programs: Mapping[str, str]) -> list[str]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return sorted({package for program, package in programs.items() if not shutil.which(program, path=path)})


def require(new: int, build: bool, directory: Path) -> None:
    """KubeinfraError if so many more machines (and a new disk to copy) do not fit into this computer."""
    near = next(path for path in (directory, *directory.parents) if path.exists())
    problems = lacking(
        new, build, available_mib(Path("/proc/meminfo").read_text()), shutil.disk_usage(near).free >> 20, directory
    )
    if problems:
        raise KubeinfraError(*problems)


def lacking(new: int, build: bool, memory: int, disk: int, directory: Path) -> list[str]:
    """What is too small, as sentences; memory and disk: MiB that are free."""
    wanted_memory = new * (MEMORY_MIB + OWN_MIB)
    wanted_disk = new * DISK_MIB + (IMAGE_MIB if build else 0)
    return [
        f"{new} virtual machine{'s' if new > 1 else ''} {what}: found {found} MiB, wanted {wanted} MiB; {remedy}"
        for what, found, wanted, remedy in (
            ("do not fit into memory", memory, wanted_memory, "free some, or make them containers"),
            (f"do not fit onto the disk of {directory}", disk, wanted_disk, "free some, or make them containers"),
        )
        if found < wanted
    ]


def available_mib(meminfo: str) -> int:
    """MemAvailable of /proc/meminfo."""
    line = next(line for line in meminfo.splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) >> 10


_CANNOT = "cannot run here"
