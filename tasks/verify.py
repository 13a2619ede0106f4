"""Is the cluster healthy? Health is only read; the traffic check makes pods on every node, and removes them."""

from __future__ import annotations

from shlex import quote

from pyinfra.api import deploy

from kubeinfra.components import network
from kubeinfra.components import verify as component
from kubeinfra.health.questions import probes
from kubeinfra.operations import health as operations
from kubeinfra.operations.gates import barrier, once, require
from kubeinfra.run.hosts import is_deploy_file, is_in_this_run, is_kubectl_host, is_lead_host
from kubeinfra.run.inventory import cluster
from kubeinfra.run.seen import here
from tasks.preflight import preflight


@deploy("verify")
def health() -> None:
    """Show a table of every component; an unhealthy component fails its host, with its answer."""
    operations.ask(name="health", asked=probes(here(), asks_api=is_kubectl_host()))
    barrier(name="all have answered")
    if is_lead_host():
        operations.show(name="table")
    barrier(name="the table is shown")
    operations.judge(name="healthy", load_balancers=len(cluster().load_balancers) if is_lead_host() else None)


@deploy("verify")
def traffic_where_changed() -> None:
    """The traffic check, if these nodes have not passed it on this network yet."""
    _traffic(unless=component.passed(filter(is_in_this_run, cluster().nodes)))


@deploy("verify")
def traffic() -> None:
    """The traffic check in any case."""
    _traffic(unless=None)


def _traffic(unless: str | None) -> None:
    if is_kubectl_host():
        once(
            name="traffic",
            what="check the traffic between pods of all nodes",
            unless=unless,
            undone_by=[network.MANIFEST],
            command=f"sh -c {quote(component.traffic(cluster()))}",
        )


if is_deploy_file(__file__):
    preflight(changes=False)
    if is_kubectl_host():
        require(name="the control plane is set up", probe=component.SET_UP, remedy="run tasks/control_plane.py first")
    barrier(name="there is something to ask")
    health()
    traffic()
