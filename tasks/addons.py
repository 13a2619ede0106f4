"""What every cluster needs on top: DNS."""

from __future__ import annotations

from hashlib import sha256

from pyinfra.api import deploy

from kubeinfra.components.flags import CFG
from kubeinfra.machine.render import template
from kubeinfra.machine.wanted import File
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import Probe, apply, require, wait_until
from kubeinfra.run.hosts import is_deploy_file, runs_kubectl
from kubeinfra.run.inventory import cluster
from tasks.control_plane import KUBECTL, READY
from tasks.preflight import preflight

MANIFEST = f"{CFG}/coredns.yaml"
_STATUS = f"{KUBECTL} -n kube-system rollout status deployment/coredns --timeout=2s"
ROLLED_OUT = Probe("CoreDNS is rolled out", _STATUS, 180)


@deploy("add-ons")
def addons() -> None:
    """Applied from one master, only where the cluster has something else."""
    if runs_kubectl():
        install([File(MANIFEST, manifest())], name="manifest")
        apply(KUBECTL, MANIFEST, name="CoreDNS")


@deploy("add-ons")
def addons_gate() -> None:
    if runs_kubectl():
        wait_until(ROLLED_OUT, name="CoreDNS rolled out")


def manifest() -> str:
    settings = cluster().settings
    corefile = template("addons/Corefile.j2", cluster_domain=settings.cluster_domain, upstreams=settings.dns_upstreams)
    return template(
        "addons/coredns.yaml.j2",
        image=cluster().coredns_image,
        replicas=settings.coredns_replicas,
        dns_address=settings.dns_address,
        corefile=corefile,
        corefile_digest=sha256(corefile.encode()).hexdigest()[:16],
    )


if is_deploy_file(__file__):
    preflight()
    if runs_kubectl():
        require(READY, "run tasks/control_plane.py first", name="the API server is ready")
    addons()
    addons_gate()
