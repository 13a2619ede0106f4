"""A node: kubelet with TLS bootstrapping, and kube-proxy."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy
from pyinfra.api.exceptions import PyinfraError

from kubeinfra.components import kube_proxy
from kubeinfra.components import node as component
from kubeinfra.components.artifacts_needed import node_images
from kubeinfra.components.runtime import runtime
from kubeinfra.operations import images
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import require
from kubeinfra.operations.units import Demand, converge, start
from kubeinfra.run.controller import controller, secrets
from kubeinfra.run.hosts import is_deploy_file, this_machine
from kubeinfra.run.inventory import cluster
from kubeinfra.run.seen import here
from tasks.artifacts import bring
from tasks.preflight import preflight


@deploy("node")
def preload_images() -> None:
    """Pods need no registry for what came as a tar file."""
    if "node" in host.groups:
        images.load(
            name="images",
            references=node_images(cluster()),
            arch=here().seen.arch,
            runtime=runtime(cluster()),
        )


@deploy("node")
def node() -> None:
    """kube-proxy with kubelet: flannel's pods look for the API server at its Service address."""
    if "node" in host.groups:
        install(name="files", describe=component.describe)
        start(name="start", units=component.UNITS, block=False)


@deploy("node")
def node_gate() -> None:
    """Certificates signed, kubelets running on them, nodes registered."""
    if "node" not in host.groups:
        return
    machine = this_machine()
    converge(
        name="registered",
        units=[component.KUBELET, component.KUBE_PROXY],
        # Until its certificate is there, kubelet 1.20 asks as an anonymous user and backs off for up to half a minute:
        # its inputs say whether it had one when it started, so it is restarted when it has.
        awaited=component.SIGNED,
        healthy=component.healthy(machine),
        # All nodes at once: their pods go on. One at a time where the rules of kube-proxy's other mode go before.
        guard=component.endpoint_answers(cluster()),
        demands=[
            Demand(component.KUBELET, component.is_gone(machine)),
            Demand(component.KUBE_PROXY, kube_proxy.other_mode(cluster()), meanwhile=kube_proxy.clean_up(cluster())),
        ],
    )


if is_deploy_file(__file__):
    preflight()
    if secrets().bundle("kubernetes") is None:
        raise PyinfraError(
            f"\n{controller().directory} has no CA kubernetes; run tasks/control_plane.py first, or bring that "
            "directory from the controller that set the cluster up"
        )
    if "node" in host.groups:
        ready, answers = runtime(cluster()).ready, component.endpoint_answers(cluster())
        require(name="the container runtime runs", probe=ready, remedy="run tasks/docker.py first")
        require(name="the API server answers", probe=answers, remedy="run tasks/control_plane.py first")
    bring(["node"])
    preload_images()
    node()
    node_gate()
