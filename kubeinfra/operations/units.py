"""systemd units: started where they do not run, restarted exactly when what they were started from has changed."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

from pyinfra import host, state
from pyinfra.api import QuoteString, StringCommand, operation

from kubeinfra.components.base import Probe, Unit
from kubeinfra.facts.units import UnitsAndHealth, UnitStates
from kubeinfra.machine.state import UnitState
from kubeinfra.operations.gates import waiting
from kubeinfra.run.plan import announce, announced

Commands = Generator[StringCommand, None, None]
_ABSENT = UnitState("", "", False, {}, ())
_RUNNING = ("active", "activating", "reloading")


@operation()
def start(units: list[Unit], block: bool = True) -> Commands:
    """
    Enable the units, and start those that do not run; those that run are left alone.

    + block: wait until systemd calls them started; False where the next step does not need them yet
    """
    found: dict[str, UnitState] = host.get_fact(UnitStates, binaries=_binaries(units))
    commands = _starts(units, found, block)
    if not commands:
        host.noop(f"{_names(units)}: running")
        return
    yield _all(commands, units)


@operation(is_idempotent=False)
def stop(units: list[Unit]) -> Commands:
    """Stop the units, all in one command; they are started again at boot."""
    announce(f"stop {_names(units)}")
    yield StringCommand("systemctl", "stop", *(unit.name for unit in units))


@operation()
def converge(
    units: list[Unit],
    healthy: Probe | None = None,
    awaited: Probe | None = None,
    guard: Probe | None = None,
    recovers: Sequence[Probe] = (),
    starts: bool = False,
    lost: tuple[Unit, Probe] | None = None,
) -> Commands:
    """
    Let the units run from what is on the disk, and be healthy: restart (or reload) those whose inputs are other than
    when they started, and wait.

    + healthy: what must be true in the end
    + awaited: what must come true by itself before it can be told whether a unit must restart
    + guard: what must be true before a restart, such as that the other members are healthy
    + recovers: what a restart takes away for a while; each is waited for where it was true before
    + starts: whether units that do not run are started here
    + lost: a unit that must restart where this is true, whatever its inputs are
    """
    named = {"awaited": awaited, "healthy": healthy}
    probes = {word: probe.command for word, probe in named.items() if probe}
    taken = {f"recovers-{number}": probe for number, probe in enumerate(recovers)}
    others = taken | ({"lost": lost[1]} if lost else {})
    found, holding = host.get_fact(
        UnitsAndHealth,
        binaries=_binaries(units),
        probes=probes | {word: probe.command for word, probe in others.items()},
    )
    also = {lost[0].name: lost[1].what} if lost and "lost" in holding else {}
    if awaited and "awaited" not in holding:
        announce(f"wait until {awaited.what}")
        yield waiting(awaited)
        found = host.get_fact(UnitStates, binaries=_binaries(units)) if state.is_executing else found
    commands = [*(_starts(units, found, block=True) if starts else []), *_restarts(units, found, also)]
    if commands and guard:
        yield waiting(guard)
    if commands:
        yield _all(commands, units)
    elif healthy and "healthy" not in holding:
        announce(f"wait until {healthy.what}")
    if healthy and (commands or "healthy" not in holding):
        yield waiting(healthy)
    for word, probe in taken.items() if commands else ():
        if word in holding:
            yield waiting(probe)
    if not commands and holding >= probes.keys():
        host.noop(f"{_names(units)}: run from what is on the disk")


def stale_reasons(unit: Unit, found: UnitState, changing: Mapping[str, str]) -> list[str]:
    """
    Why the unit's process must restart; empty for one that does not run or is what the disk says.

    + changing: paths that a plan would change first -> the digest that they would have, "" where it is not known
    """
    if found.active not in _RUNNING:
        return []
    reasons = [f"{path} has changed since it started" for path in found.stale if path not in changing]
    inputs = {**found.recorded, unit.binary: ""}
    reasons += [
        f"{path} changes"
        for path in sorted(inputs.keys() & changing)
        if not changing[path] or changing[path] != inputs[path]
    ]
    if found.reload_needed and not reasons:
        reasons.append("systemd runs an older unit file than the disk has")
    return reasons


def restart_verb(unit: Unit, found: UnitState, reasons: Sequence[str]) -> str:
    """What makes its process take what the disk has: a reload, if that is enough and the unit itself is the same."""
    ours = (f"{unit.binary} ", f"{unit.file} ")
    another = not found.recorded or found.reload_needed or any(reason.startswith(ours) for reason in reasons)
    return "reload" if unit.reloads and not another else "restart"


def _starts(units: Sequence[Unit], found: Mapping[str, UnitState], block: bool) -> list[str]:
    commands = []
    for unit in units:
        now = found.get(unit.name, _ABSENT)
        if now.enabled != "enabled":
            announce(f"enable {unit.name}")
            commands.append(f"systemctl enable --quiet {unit.name}")
        # One that is stuck in starting, from an older unit file, serves nobody: it needs no guard to start anew.
        stuck = now.active == "activating" and now.reload_needed
        if now.active not in _RUNNING or stuck:
            announce(f"start {unit.name}")
            verb = "restart" if stuck else "start"
            commands.append(f"systemctl {verb} {'' if block else '--no-block '}{unit.name}")
    return commands


def _restarts(units: Sequence[Unit], found: Mapping[str, UnitState], also: Mapping[str, str]) -> list[str]:
    """+ also: unit -> a reason of its own to restart it"""
    commands = []
    for unit in units:
        now = found.get(unit.name, _ABSENT)
        own = [also[unit.name]] if unit.name in also else []
        if reasons := own + stale_reasons(unit, now, announced()):
            verb = restart_verb(unit, now, reasons)
            announce(f"{verb} {unit.name}: {', '.join(reasons)}")
            commands.append(f"systemctl {verb} {unit.name}")
    return commands


def _binaries(units: Sequence[Unit]) -> dict[str, str]:
    return {unit.name: unit.binary for unit in units}


def _names(units: Sequence[Unit]) -> str:
    return ", ".join(unit.name for unit in units)


def _all(commands: Sequence[str], units: Sequence[Unit]) -> StringCommand:
    """All in one command; where one fails, the journal says why."""
    every = " && ".join(["systemctl daemon-reload", *commands])
    journal = "; ".join(f"journalctl -u {unit.name} -n 15 --no-pager -o cat >&2" for unit in units)
    return StringCommand("sh", "-c", QuoteString(f"({every}) || {{ {journal}; exit 1; }}"))
