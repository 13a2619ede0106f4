"""
An API server that is restarted leaves the load balancers before, and comes back when it is ready.

That takes masters and load balancers in turn, so it is several operations (tasks/control_plane.py). Masters and load
balancers all take part in each, whoever acts in it: so they are done in the order of the lines. In a run that restarts
no API server none of them asks a machine anything.
"""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host, state
from pyinfra.api import QuoteString, StringCommand, operation

from kubeinfra.cluster.cluster import Machine
from kubeinfra.components.base import Component, Probe, Unit
from kubeinfra.components.control_plane import APISERVER
from kubeinfra.components.engines import engine
from kubeinfra.components.load_balancer import engine_files
from kubeinfra.facts.units import UnitStates
from kubeinfra.machine.state import UnitState
from kubeinfra.operations.files import installing
from kubeinfra.operations.gates import waiting
from kubeinfra.operations.units import converging
from kubeinfra.run.context import run
from kubeinfra.run.hosts import is_in_this_run, this_machine
from kubeinfra.run.inventory import cluster
from kubeinfra.run.plan import announce, announce_restart, note, waits_for
from kubeinfra.run.seen import here

Commands = Generator[StringCommand, None, None]
GRACE = 1
"""
Seconds for connections that the balancer passed on just before, so that their handshake comes to an end. There is no
condition to wait for: watches keep their connections, so neither nginx's former workers nor haproxy's sessions go, and
which of them has a request on its way is inside TLS. Requests that are, the API server itself lets end when it stops.
"""


def _must_restart(master: Machine) -> bool:
    return APISERVER.name in run().outdated.get(master.name, ())


def _is_due(master: Machine) -> bool:
    """Whether this is the host of this master, and it must restart."""
    return this_machine() == master and _must_restart(master)


@operation()
def may_leave(master: Machine, guard: Probe | None) -> Commands:
    """Before the others get all clients of this master: the same condition as before its restart."""
    if not state.is_executing or not _is_due(master):
        host.noop("nothing to restart")
        return
    if guard:
        yield waiting(guard)


@operation()
def pass_on(without: Machine | None) -> Commands:
    """
    Load balancers pass new connections on to every master but this one, if it must restart; None: to all. What a run
    that ends in between leaves behind is put right by the load balancers' task: the file is not as wanted then.
    """
    restarts = state.is_executing and any(map(_must_restart, cluster().masters))
    if not restarts or this_machine() not in cluster().load_balancers:
        host.noop("no API server restarts")
        return
    unit = engine(cluster()).unit
    found: dict[str, UnitState] = host.get_fact(UnitStates, binaries={unit.name: ""})
    if unit.name not in found or found[unit.name].active != "active":
        host.noop(f"{unit.name} does not run")
        return
    away = [without] if without and _must_restart(without) else []
    if (yield from installing(Component(tuple(engine_files(here(), away))))):
        announce_restart(unit.name, "reload", [f"{without.name} restarts" if away and without else "all are ready"])
        waits_for("its former processes take no connections any more")
        yield _reload(unit, cluster().settings.load_balancer_port, GRACE if away else 0)


def _reload(unit: Unit, port: int, grace: int) -> StringCommand:
    """A reload starts new processes, and only then tells the former ones to stop listening."""
    script = f"""\
main=$(systemctl show {unit.name} -p MainPID | cut -d= -f2)
listening() {{ ss -ltnp 'sport = :{port}' | grep -o 'pid=[0-9]*' | grep -vx "pid=$main" | sort -u; }}
former=$(listening | paste -s -d '|' -)
systemctl reload {unit.name}
deadline=$(($(date +%s) + 20))
while listening | grep -qxE "${{former:-none}}"; do
    [ "$(date +%s)" -lt $deadline ] || {{ echo "{unit.name}: $former still take connections after 20 s" >&2; exit 1; }}
    sleep 0.1
done
sleep {grace}"""
    return StringCommand("sh", "-ec", QuoteString(script))


@operation()
def restart_apart(master: Machine, units: list[Unit], healthy: Probe, guard: Probe | None) -> Commands:
    """The restart of a master whose API server has left the load balancers; until it may come back."""
    if not _is_due(master):
        host.noop("nothing to restart")
        return
    absent = [one.name for one in cluster().load_balancers if not is_in_this_run(one)]
    if absent:
        note(f"{', '.join(absent)} take no part in this run, and send clients here while the API server restarts")
    if not state.is_executing:
        announce("leave the load balancers until the API server is ready again")
        return
    yield from converging(units, healthy, guard)
