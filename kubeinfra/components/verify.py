"""The traffic check: pods on every node that reach each other; created for the check, and removed after it."""

from __future__ import annotations

from collections.abc import Iterable

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.base import Probe
from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.components.pods import pods_say
from kubeinfra.machine.render import template
from kubeinfra.paths import KUBERNETES_BIN

CONFIGMAP = "kubeinfra-verified"
NAMESPACE = "kubeinfra-verify"
# Digest of the nodes, their pod networks and flannel: traffic that was checked for the same is not checked again.
NETWORK = (
    f"{{ {KUBECTL} get nodes -o jsonpath='{{range .items[*]}}{{.metadata.uid}} {{.spec.podCIDR}} {{end}}'; "
    f"{KUBECTL} -n kube-flannel get daemonset kube-flannel-ds "
    "-o jsonpath='{.metadata.uid} {.metadata.generation}'; "
    "} | sha256sum"
)
_VERIFIED = f"{KUBECTL} -n kube-system get configmap {CONFIGMAP} -o jsonpath='{{.data.network}}'"
SET_UP = Probe("the control plane is set up", f"[ -x {KUBERNETES_BIN}/kubectl ]")


def passed(nodes: Iterable[Machine]) -> str:
    """
    Shell that succeeds if the cluster's nodes have passed the check on this network, and these are among them: a plan
    that adds a node asks before its Node exists.
    """
    names = " ".join(node.node_name for node in nodes)
    listed = f"{KUBECTL} get nodes -o jsonpath='{{range .items[*]}}{{.metadata.name}} {{end}}'"
    return (
        f'[ "$({_VERIFIED})" = "$({NETWORK})" ] || exit 1; found=" $({listed})"; '
        f'for node in {names}; do case $found in *" $node "*) ;; *) exit 1 ;; esac; done'
    )


def traffic(cluster: Cluster) -> str:
    """
    Shell script for the master that makes the check; it says on stderr what does not reach what, and why.

    Each pod asks the Service, and of the other pods all or a few (`verify_traffic`), so that every node is asked too.
    """
    return template(
        "verify/traffic.sh.j2",
        kubectl=KUBECTL,
        manifest=template("verify/traffic.yaml.j2", image=cluster.verify_image),
        configmap=CONFIGMAP,
        network=NETWORK,
        cluster_domain=cluster.settings.cluster_domain,
        why_not=why_not(cluster),
        why_not_ready=pods_say(NAMESPACE, "app=echo"),
        all_pairs=cluster.settings.verify_traffic == "all",
    )


def why_not(cluster: Cluster) -> str:
    """
    Shell function of the traffic check that says why a pod does not reach one on another node: what passes between the
    two, between their machines, and by vxlan. It takes some 15 s, 70 s at most.
    """
    ports = {"tcp": 18080, "udp": 18081}  # of pods in the network of their machine
    return template(
        "verify/why-not.sh.j2",
        kubectl=KUBECTL,
        machines=template("verify/machines.yaml.j2", image=cluster.verify_image, **ports),
        port=cluster.settings.flannel_port if cluster.settings.flannel_backend == "vxlan" else None,
        **ports,
    )
