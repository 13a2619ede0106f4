"""The control plane: API server, controller-manager and scheduler, with their keys, tokens and rights."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.checks.secrets import needed_secrets
from kubeinfra.components import control_plane as component
from kubeinfra.components.etcd import answers
from kubeinfra.operations.controller import admin_kubeconfig, create
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import apply, barrier, require
from kubeinfra.operations.leaving import may_leave, pass_on, restart_apart
from kubeinfra.operations.units import converge, start
from kubeinfra.run.hosts import is_deploy_file, is_in_this_run, is_kubectl_host, is_lead_host
from kubeinfra.run.inventory import cluster
from kubeinfra.run.seen import here
from tasks.artifacts import bring
from tasks.preflight import check_absent_machines, preflight


@deploy("control plane")
def control_plane() -> None:
    """Started without waiting: the nodes' slow steps go on meanwhile."""
    if is_lead_host():
        create(
            name="CAs",
            cas=["kubernetes", "front-proxy", "etcd"],
            shared=[name for name in needed_secrets(cluster()) if name != "vrrp-password"],
        )
    barrier(name="the CAs of Kubernetes are there")
    if "master" in host.groups:
        install(name="files", describe=component.describe)
        start(name="start", units=component.UNITS, block=False)


@deploy("control plane")
def control_plane_gate() -> None:
    """Ready; then each master that runs from something else than the disk has, one at a time."""
    _restart_apart()
    if "master" in host.groups:
        guard = component.others_ready(here())
        converge(name="ready", units=component.UNITS, healthy=component.HEALTHY, guard=guard, at_once=1)
    if is_kubectl_host():
        apply(name="rights of nodes and of the API server", kubectl=component.KUBECTL, manifest=component.RBAC)


def _restart_apart() -> None:
    """Each API server that must restart, one after the other, out of the load balancers meanwhile."""
    if len(cluster().masters) < 2 or not cluster().load_balancers or not {"master", "lb"} & set(host.groups):
        return
    guard = component.others_ready(here())
    for master in host.loop([master for master in cluster().masters if is_in_this_run(master)]):
        may_leave(name=f"{master.name} may restart", master=master, guard=guard)
        pass_on(name=f"without {master.name}", without=master)
        restart_apart(
            name=f"{master.name} restarts",
            master=master,
            units=component.UNITS,
            healthy=component.HEALTHY,
            guard=guard,
        )
    pass_on(name="with all masters", without=None)


@deploy("control plane")
def administrator() -> None:
    """Written last: if the endpoint changes, the old kubeconfig keeps working until the new endpoint answers."""
    if is_lead_host():
        admin_kubeconfig(name="the administrator's kubeconfig on the controller")


if is_deploy_file(__file__):
    preflight()
    check_absent_machines()
    if "master" in host.groups:
        require(name="etcd answers", probe=answers(cluster()), remedy="run tasks/etcd.py first")
    bring(["control plane"])
    control_plane()
    control_plane_gate()
    administrator()
