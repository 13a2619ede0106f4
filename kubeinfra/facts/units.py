"""systemd units on a machine, and the inputs that their processes were started from."""

from __future__ import annotations

from shlex import quote

from pyinfra.api import FactBase

from kubeinfra.machine.state import UnitState


class UnitStates(FactBase[dict[str, UnitState]]):
    """
    State of each unit: unit -> UnitState.

    A process's inputs are in /run/kubeinfra/<unit>.inputs, written by its ExecStartPre (kubeinfra/machine/inputs.py):
    "<SHA-256>  <path>", or "present  <path>" and "absent  <path>" if only existence is recorded. The binary needs no
    line: a running file cannot be written to, so it is enough that the process's executable is the file on the disk.

    + binaries: full unit name -> path of the binary that its process must run, "" to skip that check
    """

    default = dict

    def command(self, binaries: dict[str, str]) -> str:
        calls = "; ".join(
            f"one {quote(unit)} {quote(binary) if binary else chr(39) * 2}" for unit, binary in binaries.items()
        )
        return f"{_SCRIPT}; {calls}"

    def process(self, output: list[str]) -> dict[str, UnitState]:
        found: dict[str, dict[str, str]] = {}
        recorded: dict[str, dict[str, str]] = {}
        stale: dict[str, list[str]] = {}
        unit = ""
        for line in output:
            key, _, value = line.partition("=")
            if key == "unit":
                unit = value
                found[unit], recorded[unit], stale[unit] = {}, {}, []
            elif key == "recorded":
                digest, path = value.split(" ", 1)
                recorded[unit][path] = digest
            elif key == "stale":
                stale[unit].append(value)
            elif unit:
                found[unit][key] = value
        return {
            unit: UnitState(
                active=values.get("ActiveState", ""),
                enabled=values.get("UnitFileState", ""),
                reload_needed=values.get("NeedDaemonReload") == "yes",
                recorded=recorded[unit],
                stale=tuple(stale[unit]),
            )
            for unit, values in found.items()
        }


class UnitsAndHealth(FactBase[tuple[dict[str, UnitState], set[str]]]):
    """
    UnitStates, and the names of the probes that succeed, in one command.

    + binaries: as for UnitStates; + probes: name -> shell command
    """

    @staticmethod
    def default() -> tuple[dict[str, UnitState], set[str]]:
        return {}, set()

    def command(self, binaries: dict[str, str], probes: dict[str, str]) -> str:
        checks = "; ".join(
            f"if timeout 15 sh -c {quote(probe)} >/dev/null 2>&1; then echo healthy={word}; fi"
            for word, probe in probes.items()
        )
        return f"{UnitStates().command(binaries)}; {checks or ':'}"

    def process(self, output: list[str]) -> tuple[dict[str, UnitState], set[str]]:
        healthy = {line.removeprefix("healthy=") for line in output if line.startswith("healthy=")}
        return UnitStates().process([line for line in output if not line.startswith("healthy=")]), healthy


_SCRIPT = """\
one() {
    echo "unit=$1"
    show=$(systemctl show "$1" -p ActiveState,UnitFileState,NeedDaemonReload,MainPID) || return 0
    echo "$show"
    pid=$(echo "$show" | sed -n 's/^MainPID=//p')
    [ "$pid" != 0 ] || return 0
    [ -z "$2" ] || [ "/proc/$pid/exe" -ef "$2" ] || echo "stale=$2"
    list="/run/kubeinfra/$1.inputs"
    [ -f "$list" ] || { echo "stale=$list"; return 0; }
    while read -r was path; do
        echo "recorded=$was $path"
        case $was in
        present) [ -e "$path" ] || echo "stale=$path" ;;
        absent) [ ! -e "$path" ] || echo "stale=$path" ;;
        *) [ "$(sha256sum <"$path")" = "$was  -" ] || echo "stale=$path" ;;
        esac
    done <"$list"
} 2>/dev/null\
"""
