"""A node: kubelet with TLS bootstrapping, and kube-proxy."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy
from pyinfra.api.exceptions import PyinfraError

from kubeinfra.components import kube_proxy
from kubeinfra.components import node as component
from kubeinfra.components.artifacts_needed import node_images
from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.components.runtime import runtime
from kubeinfra.operations import images
from kubeinfra.operations.bootstrap import admit
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import barrier, require
from kubeinfra.operations.units import Demand, converge, start
from kubeinfra.run.controller import controller, secrets
from kubeinfra.run.hosts import is_deploy_file, is_in_this_run, is_kubectl_host, is_lead_host, this_machine
from kubeinfra.run.inventory import cluster
from kubeinfra.run.seen import here, joining
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
    if cluster().bootstrap_tokens == "secret":
        if is_lead_host():
            require_masters()
        if is_kubectl_host():
            admit(name="nodes that join", kubectl=KUBECTL)
        barrier(name="nodes may ask for their certificates")
    if "node" in host.groups:
        install(name="files", describe=component.describe)
        start(name="start", units=component.UNITS, block=False)


def require_masters() -> None:
    """A token that ends is made on a master, for the nodes that join."""
    joins = ", ".join(node.name for node in joining())
    if joins and not any(map(is_in_this_run, cluster().masters)):
        raise PyinfraError(
            f"\n{joins}: no certificate yet, and no master takes part in this run, on which to make a bootstrap token "
            "for it; run again with --limit node --limit master"
        )


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
        guard=component.endpoint_answers(cluster()),
        demands=[
            Demand(component.KUBELET, component.is_gone(machine)),
            *(
                Demand(component.KUBE_PROXY, one.found, meanwhile=one.clean_up)
                for one in kube_proxy.left_by_other_modes(here())
            ),
        ],
        # Pods go on meanwhile, but of kubelets that do not start there should be few. Nodes that join wait for nobody.
        at_once=None if here().joins else cluster().max_unavailable,
    )


if is_deploy_file(__file__):
    preflight()
    if secrets().bundle("kubernetes") is None:
        raise PyinfraError(
            f"\n{controller().directory} has no CA kubernetes; run tasks/control_plane.py first, or bring that "
            "directory from the controller that set the cluster up"
        )
    if "node" in host.groups:
        own, answers = runtime(cluster()), component.endpoint_answers(cluster())
        require(name="the container runtime runs", probe=own.ready, remedy=f"run tasks/{own.name}.py first")
        require(name="the API server answers", probe=answers, remedy="run tasks/control_plane.py first")
    bring(["node"])
    preload_images()
    node()
    node_gate()
