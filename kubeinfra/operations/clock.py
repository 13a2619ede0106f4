"""The clock, asked again after chrony had its chance: certificates are of no use to a machine in another time."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from shlex import quote
from time import time

from pyinfra import host, state
from pyinfra.api import QuoteString, StringCommand, operation

from kubeinfra.checks.machine import CLOCKS_DIFFER
from kubeinfra.machine.state import MachineState
from kubeinfra.run.plan import announce_wait, waits_for

PATIENCE = 60  # seconds; chrony steps a clock with its first answers (iburst: four in some 6 s)


def is_off(found: MachineState) -> bool:
    """Whether preflight saw a clock that certificates cannot bear."""
    return abs(found.clock_ahead) > CLOCKS_DIFFER


@operation()
def corrected(servers: Sequence[str]) -> Generator[StringCommand, None, None]:
    """
    Wait until this machine's clock agrees with the controller's; if chrony does not correct it, the host fails.

    + servers: whom chrony asks
    """
    what = "chrony has corrected the clock"
    if state.is_executing:
        waits_for(what)
    else:
        announce_wait(what)
    yield StringCommand("sh", "-c", QuoteString(script(host.name, servers, time())))


def script(machine: str, servers: Sequence[str], now: float, patience: int = PATIENCE) -> str:
    """
    Shell that succeeds when the clock agrees, measured by the time that the machine is up, which no clock changes.

    + now: the controller's time, in seconds since the epoch; + patience: in seconds
    """
    sentence = (
        f"certificates need clocks that agree within {CLOCKS_DIFFER} s; let it reach one of time_servers "
        f"({', '.join(servers)}; udp 123), or set the clock by hand, and run again. chronyc says:"
    )
    return f"""\
up() {{ cut -d . -f 1 /proc/uptime; }}
begin=$(up)
ahead() {{ echo $(($(date +%s) - {now:.0f} - $(up) + begin)); }}
until off=$(ahead) && [ "${{off#-}}" -le {CLOCKS_DIFFER} ]; do
    if [ $(($(up) - begin)) -ge {patience} ]; then
        case $off in -*) how=behind ;; *) how='ahead of' ;; esac
        is="its clock is ${{off#-}} s $how this controller's;"
        echo {quote(machine)}": {patience} s after chrony was set up $is" {quote(sentence)} >&2
        chronyc -n sources >&2
        exit 1
    fi
    sleep 1
done"""
