"""What a cluster needs on top: DNS, and what measures its nodes and pods."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.components import addons as component
from kubeinfra.components import metrics_server
from kubeinfra.components.control_plane import KUBECTL, READY
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import apply, require, wait_until
from kubeinfra.run.hosts import awaited_nodes, is_deploy_file, is_kubectl_host
from kubeinfra.run.inventory import cluster
from tasks.preflight import preflight


@deploy("add-ons")
def addons() -> None:
    """Applied from one master, only if the cluster has something else."""
    if is_kubectl_host():
        install(name="manifest", describe=component.describe)
        apply(name="CoreDNS", kubectl=KUBECTL, manifest=component.MANIFEST)
        if cluster().metrics_server:
            theirs, manifest = metrics_server.THEIRS, metrics_server.MANIFEST
            apply(name="metrics-server", kubectl=KUBECTL, manifest=manifest, unless=theirs)


@deploy("add-ons")
def addons_gate() -> None:
    """CoreDNS runs."""
    if is_kubectl_host():
        wait_until(name="CoreDNS rolled out", probe=component.ROLLED_OUT)


@deploy("add-ons")
def metrics_gate() -> None:
    """metrics-server, where there is one, has measured the nodes, as each API server sees it."""
    if cluster().metrics_server and "master" in host.groups:
        wait_until(name="nodes measured", probe=metrics_server.measures(awaited_nodes()))


if is_deploy_file(__file__):
    preflight()
    if is_kubectl_host():
        require(name="the API server is ready", probe=READY, remedy="run tasks/control_plane.py first")
    addons()
    addons_gate()
    metrics_gate()
