"""The operating system: firewall, SELinux, swap, host name, modules, sysctls, packages."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from shlex import quote

from pyinfra import host, state
from pyinfra.api import QuoteString, StringCommand, operation

from kubeinfra.checks.system import comes_with_module, missing_modules, refused, swap_scripts, sysctls_out_of_reach
from kubeinfra.components.base import Probe
from kubeinfra.facts.machine import SWAP_UNITS, MissingPackages, System, Unreached
from kubeinfra.findings import Finding
from kubeinfra.machine.packages import PATIENCE, install, nobody_installs
from kubeinfra.machine.state import SystemState
from kubeinfra.operations.gates import waiting
from kubeinfra.run.plan import announce, note, note_finding

Commands = Generator[StringCommand, None, None]


@operation()
def packages(names: Sequence[str], family: str, stop: Sequence[str] = ()) -> Commands:
    """
    Install packages of the distribution; those that are there are left at their version.

    + family: "debian" or "redhat"; + stop: units that the package of the same name starts by itself
    """
    missing: set[str] = host.get_fact(MissingPackages, names=list(names), family=family)
    if not missing:
        host.noop(f"{len(names)} packages are installed")
        return
    announce(f"install packages {' '.join(sorted(missing))}")
    stopping = "".join(f"\nsystemctl stop {quote(unit)}" for unit in stop if unit in missing)
    yield nobody_else_installs(family)
    yield StringCommand("sh", "-ec", QuoteString(f"{install(family, sorted(missing))}{stopping}"))
    tell_unreached()


def nobody_else_installs(family: str) -> StringCommand:
    """Wait until no other process installs packages, as a machine's own updates do after its first boot."""
    return waiting(Probe("no other process installs packages", nobody_installs(family), PATIENCE))


def tell_unreached() -> None:
    """After packages were installed: which repositories did not answer."""
    if state.is_executing and (words := host.get_fact(Unreached)):
        note(f"repositories did not answer, and the packages came from others: {' '.join(words)}")


@operation()
def prepare(hostname: str, modules: dict[str, str], sysctls: dict[str, str], without_swap: bool = True) -> Commands:
    """
    Bring the running system into the state that its files give it at boot. Judged by the resulting state; what the
    kernel or a container does not allow is told in one line.

    + modules: kernel module -> a path that exists when it is there; + sysctls: key -> value
    + without_swap: whether swap is switched off, now and at boot
    """
    now: SystemState = host.get_fact(System, modules=modules, sysctls=list(sysctls))
    _note([*missing_modules(host.name, now), *sysctls_out_of_reach(host.name, now, sysctls)])
    _note(swap_scripts(host.name, now) if without_swap else [])
    required = [*_firewall(now), *_hostname(now, hostname)]
    attempts = _attempts(now, without_swap)
    later = list(_sysctls(now, sysctls))
    yield from _carry_out([*required, *_tried(attempts), *later], "the operating system is as wanted")
    if attempts and state.is_executing:
        now = host.get_fact(System, modules=modules, sysctls=[])
        _note_refused(_attempts(now, without_swap))


@operation()
def load_modules(modules: dict[str, str], missing: str) -> Commands:
    """
    Load kernel modules.

    + modules: as for `prepare`; + missing: what happens if the kernel has none of them, in a sentence
    """
    now: SystemState = host.get_fact(System, modules=modules, sysctls=[])
    if all(found == "missing" for found in now.modules.values()):
        note(f"the kernel has no module {', '.join(modules)}; {missing}")
        return
    _note(missing_modules(host.name, now))
    attempts = list(_loadable(now))
    yield from _carry_out(_tried(attempts), "kernel modules are loaded")
    if attempts and state.is_executing:
        _note_refused(_loadable(host.get_fact(System, modules=modules, sysctls=[])))


def _carry_out(steps: list[tuple[str, str]], done: str) -> Commands:
    for sentence, _ in steps:
        announce(sentence)
    if not steps:
        host.noop(done)
        return
    yield StringCommand("sh", "-ec", QuoteString("; ".join(command for _, command in steps)))


def _tried(steps: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Steps that a container or the kernel may refuse: the state afterwards tells (`_note_refused`)."""
    return [(sentence, f"{{ {{ {command}; }} || :; }}") for sentence, command in steps]


def _note_refused(left: Iterable[tuple[str, str]]) -> None:
    _note(refused(host.name, sentence, command) for sentence, command in left)


def _attempts(now: SystemState, without_swap: bool) -> list[tuple[str, str]]:
    return [*_selinux(now), *(_swap(now) if without_swap else []), *_loadable(now)]


Steps = Iterator[tuple[str, str]]
# Units of fstab's lines are gone when systemd has read it again; without them its generator for partition tables makes
# one for the same partition.
_NO_SWAP_UNITS = (
    f"systemctl daemon-reload && {SWAP_UNITS} | "
    'while read -r unit; do systemctl mask --quiet "$unit"; systemctl stop "$unit"; done'
)


def _firewall(now: SystemState) -> Steps:
    for unit in now.firewalls:
        yield f"stop and disable {unit}", f"systemctl stop {unit}; systemctl disable --quiet {unit}"


def _selinux(now: SystemState) -> Steps:
    if now.selinux == "Enforcing":
        yield "SELinux: Enforcing -> Permissive", "setenforce 0"


def _swap(now: SystemState) -> Steps:
    for service in now.swap_services:
        yield (
            f"stop and disable {service}, which switches swap on",
            f"systemctl disable --quiet {quote(service)}; systemctl stop {quote(service)}",
        )
    if now.swaps:
        yield f"swap off: {', '.join(now.swaps)}", "swapoff -a"
    if now.swap_units:
        yield f"no swap at boot from {', '.join(now.swap_units)}", _NO_SWAP_UNITS


def _hostname(now: SystemState, hostname: str) -> Steps:
    if now.hostname != hostname:
        # Not hostnamectl: it needs D-Bus, which a small machine may not have.
        yield f"host name {now.hostname} -> {hostname}", f"echo {hostname} >/proc/sys/kernel/hostname"


def _loadable(now: SystemState) -> Steps:
    for name, found in now.modules.items():
        if found == "loadable":
            yield f"load kernel module {name}", f"modprobe {name}"


def _sysctls(now: SystemState, keys: dict[str, str]) -> Steps:
    for key, value in keys.items():
        has = now.sysctls.get(key)
        if has is None and comes_with_module(now, key):
            there = f"/proc/sys/{key.replace('.', '/')}"
            yield f"sysctl {key} = {value}", f"[ ! -e {there} ] || sysctl -q -w {quote(f'{key}={value}')}"
        elif has not in (None, value) and key not in now.read_only:
            yield f"sysctl {key}: {has} -> {value}", f"sysctl -q -w {quote(f'{key}={value}')}"


def _note(findings: Iterable[Finding]) -> None:
    for finding in findings:
        note_finding(finding)
