"""What every cluster needs on top: DNS."""

from __future__ import annotations

from pyinfra.api import deploy

from kubeinfra.components import addons as component
from kubeinfra.components.control_plane import KUBECTL, READY
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import apply, require, wait_until
from kubeinfra.run.hosts import is_deploy_file, is_kubectl_host
from tasks.preflight import preflight


@deploy("add-ons")
def addons() -> None:
    """Applied from one master, only if the cluster has something else."""
    if is_kubectl_host():
        install(name="manifest", describe=component.describe)
        apply(name="CoreDNS", kubectl=KUBECTL, manifest=component.MANIFEST)


@deploy("add-ons")
def addons_gate() -> None:
    if is_kubectl_host():
        wait_until(name="CoreDNS rolled out", probe=component.ROLLED_OUT)


if is_deploy_file(__file__):
    preflight()
    if is_kubectl_host():
        require(name="the API server is ready", probe=READY, remedy="run tasks/control_plane.py first")
    addons()
    addons_gate()
