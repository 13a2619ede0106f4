"""Labels and taints of the Node objects; masters that are nodes take ordinary pods only if a setting says so."""

from __future__ import annotations

from pyinfra.api import deploy

from kubeinfra.components import node_objects as component
from kubeinfra.components.control_plane import KUBECTL, READY
from kubeinfra.operations.gates import require
from kubeinfra.operations.nodes import label_and_taint
from kubeinfra.run.hosts import is_deploy_file, is_kubectl_host
from kubeinfra.run.inventory import cluster
from tasks.preflight import preflight


@deploy("node objects")
def node_objects() -> None:
    """From one master, for all nodes that have registered."""
    if is_kubectl_host():
        label_and_taint(name="labels and taints", kubectl=KUBECTL, wanted=component.wanted(cluster()))


if is_deploy_file(__file__):
    preflight()
    if is_kubectl_host():
        require(name="the API server is ready", probe=READY, remedy="run tasks/control_plane.py first")
    node_objects()
