"""A whole computer by QEMU: with KVM as fast as this one, without it emulated, so several times slower."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from lab.vm import disk, room
from lab.vm.computer import Computer

CORES = 2
# x86-64-v2 and what speeds ssh up; with all that can be emulated ("max") a boot takes a quarter more of the processor.
EMULATED_CPU = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq,+rdrand,-svm"
# mitigations: against neighbours that an emulator does not have.
KERNEL_ARGUMENTS = "root=/dev/vda rw console=ttyS0 mitigations=off"


def has_kvm() -> bool:
    """
    Whether the processor itself can run a guest. A /dev/kvm alone does not tell: nested in some clouds there is one
    (kvm_pvm) that runs only kernels made for it, and Debian's hangs before its first word.
    """
    hardware = any(Path("/sys/module", name).is_dir() for name in ("kvm_intel", "kvm_amd"))
    return hardware and os.access("/dev/kvm", os.R_OK | os.W_OK)


class Qemu(Computer):
    programs: ClassVar = {"qemu-system-x86_64": "qemu-system-x86"}
    remark = "" if has_kvm() else "no KVM here: emulated, everything takes several times as long"

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
            *("-display", "none", "-serial", "stdio", "-monitor", "none"),
        ]


def _accelerator() -> tuple[str, ...]:
    return ("-accel", "kvm", "-cpu", "host") if has_kvm() else ("-accel", "tcg,thread=multi", "-cpu", EMULATED_CPU)
