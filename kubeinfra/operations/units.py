"""systemd units: started if they do not run, restarted if and only if their inputs have changed since they started."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from shlex import quote
from typing import Literal

from pyinfra import host, state
from pyinfra.api import QuoteString, StringCommand, operation

from kubeinfra.components.base import Probe, Unit
from kubeinfra.facts.units import UnitsAndHealth, UnitStates
from kubeinfra.machine.state import UnitState
from kubeinfra.machine.wanted import before
from kubeinfra.operations.gates import failure, guarding, waiting
from kubeinfra.operations.rolling import turn
from kubeinfra.run.context import run
from kubeinfra.run.journal import Verb
from kubeinfra.run.plan import announce, announce_restart, announce_wait, announced, waits_for
from kubeinfra.run.turns import Turn

Commands = Generator[StringCommand, None, None]
_ABSENT = UnitState("", "", False, {}, ())
_RUNNING = ("active", "activating", "reloading")


@dataclass(frozen=True)
class Step:
    """What is done to a unit, why if it runs, and the command that does it."""

    unit: str
    verb: Verb | Literal["enable", "stop"]
    command: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Demand:
    """
    A unit that must restart if something is true, whatever its inputs are.

    + reason: what; its words are told
    + meanwhile: shell that runs while the unit is stopped, which it is on one machine at a time then
    """

    unit: Unit
    reason: Probe
    meanwhile: str = ""


@operation()
def start(units: list[Unit], block: bool = True, replaces: Unit | None = None) -> Commands:
    """
    Enable the units, and start those that do not run; those that run are left alone.

    + block: wait until systemd reports them started; False if the next step does not need them yet
    + replaces: as for `converge`, which does it; here nothing is started in its place
    """
    found: dict[str, UnitState] = host.get_fact(UnitStates, binaries=_binaries([*_one(replaces), *units]))
    run().outdated[host.name] = frozenset(step.unit for step in _restarts(units, found, []))
    if replaces and is_in_place(found.get(replaces.name, _ABSENT)):
        host.noop(f"{replaces.name} is replaced later, one machine at a time")
        return
    steps = _starts(units, found, block)
    if not steps:
        host.noop(f"{_names(units)}: running")
        return
    _announce(steps)
    yield _all(steps, units)


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
    demands: Sequence[Demand] = (),
    at_once: int | None = None,
    returns_to: str | None = None,
    replaces: Unit | None = None,
) -> Commands:
    """
    Restart (or reload) units whose inputs have changed since they started, then wait until they are healthy.

    + healthy: what must be true in the end
    + awaited: what must become true by itself before it is known whether a unit must restart
    + guard: what must be true before a restart, such as that the other members are healthy
    + recovers: what a restart makes false for a while; each is waited for if it was true before
    + starts: whether units that do not run are started here
    + demands: further reasons to restart
    + at_once: on how many hosts at a time this may restart or wait for something, in the order of the inventory; after
      the first that fails no other begins, and those that would have had to fail too. None: this host waits for
      nobody
    + returns_to: a file that gets its text of before back if a unit does not start with the new one (Edit.keep_for)
    + replaces: a unit of ours in whose place the first of `units` comes: if it runs, or would at boot, all of `units`
      stop, the last first, it is stopped and disabled, and they are started
    """
    wish = _Wish(units, healthy, awaited, guard, recovers, starts, demands, returns_to, replaces)
    if at_once is None or not state.is_executing:
        yield from wish.fulfil(wish.look(), None)
        return
    with turn(at_once) as mine:
        found = wish.look()
        if not wish.is_fulfilled(found):
            waits_for("the machines before it are done")
            if not mine.take(alone=wish.stops(found)):
                yield _left(mine)
                return
            if wish.recovers and wish.steps(found):
                found = wish.look()  # pods may have come from others that have restarted meanwhile
        yield from wish.fulfil(found, mine)


def converging(units: list[Unit], healthy: Probe, guard: Probe | None) -> Commands:
    """The commands of `converge`, for an operation that does more."""
    wish = _Wish(units, healthy, None, guard)
    yield from wish.fulfil(wish.look(), None)


@dataclass(frozen=True)
class _Found:
    """The units' states, and the words of the probes that succeed."""

    units: Mapping[str, UnitState]
    holding: set[str]


@dataclass(frozen=True)
class _Wish:
    """What `converge` was asked for; its parameters."""

    units: list[Unit]
    healthy: Probe | None
    awaited: Probe | None
    guard: Probe | None
    recovers: Sequence[Probe] = ()
    starts: bool = False
    demands: Sequence[Demand] = ()
    returns_to: str | None = None
    replaces: Unit | None = None

    @property
    def _wanted(self) -> dict[str, str]:
        named = {"awaited": self.awaited, "healthy": self.healthy}
        return {word: probe.command for word, probe in named.items() if probe}

    @property
    def _taken(self) -> dict[str, Probe]:
        return {f"recovers-{number}": probe for number, probe in enumerate(self.recovers)}

    def look(self) -> _Found:
        exempt = {"exempt": self.guard.unless} if self.guard and self.guard.unless else {}
        others = self._taken | {f"demand-{number}": one.reason for number, one in enumerate(self.demands)}
        probes = self._wanted | {word: probe.command for word, probe in others.items()} | exempt
        binaries = _binaries([*_one(self.replaces), *self.units])
        return _Found(*host.get_fact(UnitsAndHealth, binaries=binaries, probes=probes))

    def is_fulfilled(self, found: _Found) -> bool:
        return not self.steps(found) and found.holding >= self._wanted.keys()

    def stops(self, found: _Found) -> bool:
        """Whether a unit is stopped for longer than a restart takes."""
        return any(one.meanwhile for one in self._made(found))

    def steps(self, found: _Found) -> list[Step]:
        if self.replaces and is_in_place(found.units.get(self.replaces.name, _ABSENT)):
            return replacement(self.units, self.replaces, found.units)
        starts = _starts(self.units, found.units, block=True) if self.starts else []
        return [*starts, *_restarts(self.units, found.units, self._made(found))]

    def _made(self, found: _Found) -> list[Demand]:
        """The demands that are made here."""
        return [one for number, one in enumerate(self.demands) if f"demand-{number}" in found.holding]

    def fulfil(self, found: _Found, mine: Turn | None) -> Commands:
        healthy = self.healthy
        if self.awaited and "awaited" not in found.holding:
            yield from self._await(self.awaited, found)
            if state.is_executing:
                units: dict[str, UnitState] = host.get_fact(UnitStates, binaries=_binaries(self.units))
                found = _Found(units, found.holding)
        steps = self.steps(found)
        _announce(steps)
        guard = self.guard if steps and "exempt" not in found.holding else None
        if guard and not (yield from guarding(guard)):
            return
        if steps and mine and mine.failed:
            yield _left(mine)
            return
        if steps:
            yield _all(steps, self.units, self.returns_to)
        elif healthy and "healthy" not in found.holding:
            announce_wait(healthy.what)
        if healthy and (steps or "healthy" not in found.holding):
            yield waiting(healthy)
        for word, probe in self._taken.items() if steps else ():
            if word in found.holding:
                yield waiting(probe)
        if not steps and found.holding >= self._wanted.keys():
            host.noop(f"{_names(self.units)}: run from what is on the disk")

    def _await(self, awaited: Probe, found: _Found) -> Commands:
        """A unit that was started from something else than the disk has would wait for good, and serves nobody yet."""
        waits = [unit for unit in self.units if unit.name == f"{awaited.unit}.service"]
        if state.is_executing and (steps := _restarts(waits, found.units, [])):
            _announce(steps)
            yield _all(steps, waits)
        announce_wait(awaited.what)
        yield waiting(awaited)


def _left(turn: Turn) -> StringCommand:
    return failure(f"{host.name}: left as it is, as {turn.failed} has failed; put that right, and run again")


def stale_reasons(unit: Unit, found: UnitState, changing: Mapping[str, str]) -> list[str]:
    """
    Why the unit's process must restart; empty if it does not run, or was started from what is on the disk.

    + changing: paths that a plan would change first -> the digest that they would have, "" if not known
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


def restart_verb(unit: Unit, found: UnitState, reasons: Sequence[str]) -> Verb:
    """How its process gets the changes: by a reload, if that is enough and binary and unit file are the same."""
    ours = (f"{unit.binary} ", f"{unit.file} ")
    another = not found.recorded or found.reload_needed or any(reason.startswith(ours) for reason in reasons)
    return "reload" if unit.reloads and not another else "restart"


def _starts(units: Sequence[Unit], found: Mapping[str, UnitState], block: bool) -> list[Step]:
    steps = []
    for unit in units:
        now = found.get(unit.name, _ABSENT)
        if now.enabled != "enabled":
            steps.append(Step(unit.name, "enable", f"systemctl enable --quiet {unit.name}"))
        # A unit that hangs in starting, from an older unit file, serves no one: it needs no guard to start again.
        stuck = now.active == "activating" and now.reload_needed
        if now.active not in _RUNNING or stuck:
            verb = "restart" if stuck else "start"
            steps.append(Step(unit.name, "start", f"systemctl {verb} {'' if block else '--no-block '}{unit.name}"))
    return steps


def is_in_place(found: UnitState) -> bool:
    """Whether this unit, if it is ours, runs or would at boot; one that has recorded no inputs is somebody else's."""
    return bool(found.recorded) and (found.active in _RUNNING or found.enabled == "enabled")


def replacement(units: Sequence[Unit], replaced: Unit, found: Mapping[str, UnitState]) -> list[Step]:
    """
    What puts the first of these units in the place of another.

    + units: in the order in which they start; the last stops first, as it has what the others are there for: an address
    """
    stopped = {unit.name: replace(found.get(unit.name, _ABSENT), active="inactive") for unit in units}
    running = [unit.name for unit in reversed(units) if found.get(unit.name, _ABSENT).active in _RUNNING]
    commands = [f"systemctl stop {name}" for name in running]
    # One that is killed after its time to end, as connections stay open for long, would be shown as failed.
    forget = f"{{ ! systemctl --quiet is-failed {replaced.name} || systemctl reset-failed {replaced.name}; }}"
    switch_off = [f"systemctl disable --quiet {replaced.name}", f"systemctl stop {replaced.name}"]
    stop = " && ".join([*commands, *switch_off, forget])
    reason = f"{units[0].name} takes its place"
    return [Step(replaced.name, "stop", stop, (reason,)), *_starts(units, stopped, block=True)]


def _restarts(units: Sequence[Unit], found: Mapping[str, UnitState], demands: Sequence[Demand]) -> list[Step]:
    steps = []
    for unit in units:
        now, own = found.get(unit.name, _ABSENT), [one for one in demands if one.unit == unit]
        if reasons := [one.reason.what for one in own] + stale_reasons(unit, now, announced()):
            meanwhile = [one.meanwhile for one in own if one.meanwhile]
            verb = "restart" if meanwhile else restart_verb(unit, now, reasons)
            command = interrupted(unit.name, meanwhile) if meanwhile else f"systemctl {verb} {unit.name}"
            steps.append(Step(unit.name, verb, command, tuple(reasons)))
    return steps


def interrupted(unit: str, meanwhile: Sequence[str]) -> str:
    """Shell that stops a unit, runs these scripts, and starts it again in any case; it fails if one of them has."""
    every = " && ".join(f"sh -c {quote(script)}" for script in meanwhile)
    return (
        f"systemctl stop {unit} && {{ if {every}; then failed=; else failed=yes; fi; "
        f'systemctl start {unit} && [ ! "$failed" ]; }}'
    )


def _announce(steps: Sequence[Step]) -> None:
    for step in steps:
        if step.verb == "enable" or step.verb == "stop":
            announce(f"{step.verb} {step.unit}{': ' if step.reasons else ''}{', '.join(step.reasons)}")
        else:
            announce_restart(step.unit, step.verb, step.reasons)


def _one(unit: Unit | None) -> list[Unit]:
    return [unit] if unit else []


def _binaries(units: Sequence[Unit]) -> dict[str, str]:
    return {unit.name: unit.binary for unit in units}


def _names(units: Sequence[Unit]) -> str:
    return ", ".join(unit.name for unit in units)


def _all(steps: Sequence[Step], units: Sequence[Unit], returns_to: str | None = None) -> StringCommand:
    """All in one command; if one fails, the journal is shown, and `returns_to` gets its text of before back."""
    every = ["systemctl daemon-reload", *(step.command for step in steps)]
    failed = [f"journalctl -u {unit.name} -n 15 --no-pager -o cat >&2" for unit in units]
    if returns_to:
        every.append(f"rm -f {before(returns_to)}")
        failed.append(_return_to(returns_to, [step.unit for step in steps]))
    return StringCommand("sh", "-c", QuoteString(f"({' && '.join(every)}) || {{ {'; '.join(failed)}; exit 1; }}"))


def _return_to(path: str, units: Sequence[str]) -> str:
    names = " ".join(dict.fromkeys(units))
    return (
        f"if [ -f {before(path)} ]; then mv -f {before(path)} {path}; systemctl reset-failed {names}; "
        f"if systemctl restart {names}; then echo '{names}: runs again, with {path} as it was before' >&2; fi; fi"
    )
