"""systemd units: started where they do not run, restarted exactly when what they were started from has changed."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from kubeinfra.facts.units import UnitState, UnitStates
from kubeinfra.plan import announce, announced

_ABSENT = UnitState("", "", False, (), ())


@dataclass(frozen=True)
class Unit:
    """
    A unit, and the binary that its process must run ("" where others own it).

    `reloads`: its ExecReload is enough for another configuration, and records the inputs anew.
    """

    name: str
    binary: str = ""
    reloads: bool = False

    def verb(self, found: UnitState, reasons: list[str]) -> str:
        """What makes its process take what the disk has: a reload, where the unit itself is the same."""
        same_unit = not found.reload_needed and not any(f"/{self.name} " in reason for reason in reasons)
        return "reload" if self.reloads and same_unit else "restart"


@operation()
def start(units: list[Unit], block: bool = True) -> Generator[StringCommand, None, None]:
    """
    Enable the units, and start those that do not run; those that run are left alone.

    + block: wait until systemd calls them started; False where the next step does not need them yet
    """
    found = _states(units)
    commands = []
    for unit in units:
        now = found.get(unit.name, _ABSENT)
        if now.enabled != "enabled":
            announce(f"enable {unit.name}")
            commands.append(f"systemctl enable --quiet {unit.name}")
        if now.active not in ("active", "activating", "reloading"):
            announce(f"start {unit.name}")
            commands.append(f"systemctl start {'' if block else '--no-block '}{unit.name}")
    if not commands:
        host.noop(f"{_names(units)}: running")
        return
    yield _all(["systemctl daemon-reload", *commands], units)


@operation()
def restart_if_stale(units: list[Unit], guard: str | None = None) -> Generator[StringCommand, None, None]:
    """
    Restart (or reload) the units whose inputs are other than when they started, one after the other.

    + guard: command that must succeed on the host first, such as "the other members are healthy"
    """
    found = _states(units)
    commands = []
    for unit in units:
        now = found.get(unit.name, _ABSENT)
        if reasons := stale_reasons(unit, now, announced()):
            verb = unit.verb(now, reasons)
            announce(f"{verb} {unit.name}: {', '.join(reasons)}")
            commands.append(f"systemctl {verb} {unit.name}")
    if not commands:
        host.noop(f"{_names(units)}: started from what is on the disk")
        return
    if guard:
        yield StringCommand("sh", "-c", QuoteString(guard))
    yield _all(["systemctl daemon-reload", *commands], units)


def stale_reasons(unit: Unit, found: UnitState, changing: set[str]) -> list[str]:
    """
    Why the unit's process must restart; empty for one that does not run or is what the disk says.

    + changing: paths that a plan would change first
    """
    if found.active not in ("active", "activating", "reloading"):
        return []
    inputs = {*found.recorded, unit.binary}
    reasons = [f"{path} has changed since it started" for path in found.stale if path not in changing]
    reasons += [f"{path} changes" for path in sorted(inputs & changing)]
    if found.reload_needed and not reasons:
        reasons.append("systemd runs an older unit file than the disk has")
    return reasons


def _states(units: list[Unit]) -> Mapping[str, UnitState]:
    states: dict[str, UnitState] = host.get_fact(UnitStates, binaries={unit.name: unit.binary for unit in units})
    return states


def _names(units: list[Unit]) -> str:
    return ", ".join(unit.name for unit in units)


def _all(commands: list[str], units: list[Unit]) -> StringCommand:
    """All in one command; where one fails, the journal says why."""
    journal = "; ".join(f"journalctl -u {unit.name} -n 15 --no-pager -o cat >&2" for unit in units)
    return StringCommand("sh", "-c", QuoteString(f"({' && '.join(commands)}) || {{ {journal}; exit 1; }}"))
