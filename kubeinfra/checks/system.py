"""What the operating system of a machine does not have: notes, because the deploy continues without it."""

from __future__ import annotations

from collections.abc import Mapping

from kubeinfra.findings import EXPLAINED, Finding
from kubeinfra.machine.state import SystemState


def missing_modules(machine: str, found: SystemState) -> list[Finding]:
    """A note for each kernel module that the machine does not have."""
    lost = "what needs it will not work here"
    return [
        Finding("kernel modules", machine, "note", f"the kernel has no module {name}", remedy=lost)
        for name, state in found.modules.items()
        if state == "missing"
    ]


def sysctls_out_of_reach(machine: str, found: SystemState, wanted: Mapping[str, str]) -> list[Finding]:
    """A note for each sysctl that the kernel does not have, or that has another value and cannot be set."""
    notes = []
    for key, value in wanted.items():
        has = found.sysctls.get(key)
        if has is None and not comes_with_module(found, key):
            notes.append(Finding("sysctls", machine, "note", f"the kernel has no sysctl {key} (wanted {value})"))
        elif has not in (None, value) and key in found.read_only:
            found_value, why = f"sysctl {key} is {has}", "cannot be set from inside this machine"
            notes.append(Finding("sysctls", machine, "note", found_value, value, why, joints=(", wanted ", ", and ")))
    return notes


def swap_scripts(machine: str, found: SystemState) -> list[Finding]:
    """A note for each file that switches swap on at boot, and that is not ours to change."""
    return [
        Finding(
            "swap",
            machine,
            "note",
            f"{path} switches swap on at boot",
            wanted="the kubelet does not start while there is swap",
            remedy="take that line out",
            joints=EXPLAINED,
        )
        for path in found.swap_scripts
    ]


def comes_with_module(found: SystemState, key: str) -> bool:
    """Whether a sysctl that is not there yet appears when the modules are loaded."""
    return key.startswith("net.bridge.") and found.modules.get("br_netfilter") == "loadable"


def refused(machine: str, what: str, command: str) -> Finding:
    """A note about a step that was tried and that changed nothing."""
    return Finding("system", machine, "note", f"{what}: this machine does not allow it ({command} changed nothing)")
