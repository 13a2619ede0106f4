"""flannel, and the gate that every node is Ready on it."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.components import network as component
from kubeinfra.components.control_plane import KUBECTL, READY
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import apply, barrier, once, require, wait_until
from kubeinfra.operations.system import note
from kubeinfra.run.hosts import (
    awaited_nodes,
    is_deploy_file,
    is_in_this_run,
    is_kubectl_host,
    is_lead_host,
    this_machine,
)
from kubeinfra.run.inventory import cluster
from tasks.preflight import preflight


@deploy("network")
def network() -> None:
    """Applied from one master, only if the cluster has something else."""
    if is_lead_host() and not any(map(is_in_this_run, cluster().masters)):
        note("no master takes part in this run: the network, the add-ons and the traffic are left as they are")
    if is_kubectl_host():
        install(name="manifest", describe=component.describe)
        apply(name="flannel", kubectl=KUBECTL, manifest=component.MANIFEST)


@deploy("network")
def network_gate() -> None:
    """flannel on all nodes, each on the pod network that its Node has, and the nodes Ready."""
    if "node" in host.groups:
        machine = this_machine()
        once(
            name="pod network",
            what="put flannel and the pods on the network that the Node has now",
            # Before flannel's first start there is nothing to move.
            unless=f"[ -e /run/flannel/subnet.env ] || exit 0\n{component.pod_network(machine)}",
            command=component.pod_network(machine, move=True),
        )
    barrier(name="pods are on their nodes' networks")
    if not is_kubectl_host():
        return
    if awaited_nodes() == cluster().nodes:  # a node that is down is left out of the run, and has no flannel
        wait_until(name="flannel rolled out", probe=component.ROLLED_OUT)
    wait_until(name="nodes Ready", probe=component.nodes_ready(awaited_nodes()))


if is_deploy_file(__file__):
    preflight()
    if is_kubectl_host():
        require(name="the API server is ready", probe=READY, remedy="run tasks/control_plane.py first")
    network()
    network_gate()
