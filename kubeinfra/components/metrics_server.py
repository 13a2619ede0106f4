"""metrics-server, which measures nodes and pods for `kubectl top` and HorizontalPodAutoscalers."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.base import Here, Port, Probe
from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.components.pods import pods_say
from kubeinfra.machine.render import template
from kubeinfra.machine.wanted import File
from kubeinfra.paths import KUBERNETES_CFG

MANIFEST = f"{KUBERNETES_CFG}/metrics-server.yaml"
PORT = 4443
"""Not upstream's 10250: in the network of its node that is the kubelet's."""
OF_OTHERS = "served by"
_API = "v1beta1.metrics.k8s.io"
_OURS = "app.kubernetes.io/managed-by"


def ports(cluster: Cluster) -> tuple[Port, ...]:
    """Of the node on which it happens to run."""
    listens = cluster.metrics_server and on_host_network(cluster)
    return (Port(PORT, "metrics-server", ("masters",)),) if listens else ()


def on_host_network(cluster: Cluster) -> bool:
    """
    The API server of a master that is no node reaches no pod at its own address; at its node's it reaches every one.
    """
    return any("node" not in master.groups for master in cluster.masters)


def manifest(here: Here) -> File:
    """On the master that applies it."""
    ca = here.secrets.bundle("kubernetes")
    text = ca and template(
        "addons/metrics-server.yaml.j2",
        image=here.cluster.metrics_server_image,
        port=PORT,
        host_network=on_host_network(here.cluster),
        ca=ca,
        ca_digest=sha256(ca.encode()).hexdigest()[:16],
        api=_API,
        ours=_OURS,
    )
    return File(MANIFEST, text)


# Others serve this API too, with a metrics-server of their own or an adapter: that stays, and is no part of ours.
THEIRS = (
    f"whose=$({KUBECTL} get apiservices --selector '{_OURS}!=kubeinfra' --field-selector metadata.name={_API} "
    "-o jsonpath='{range .items[*]}{.spec.service.namespace}/{.spec.service.name}{end}') && [ \"$whose\" ]"
)


def answers(nodes: Iterable[Machine]) -> str:
    """Shell for a master: its API server has metrics of each of these nodes, or another one than ours serves them."""
    names = " ".join(node.node_name for node in nodes)
    return (
        f'{{ {THEIRS} && echo "{OF_OTHERS} $whose"; }} || {{ '
        f"found=$({KUBECTL} get --raw /apis/metrics.k8s.io/v1beta1/nodes) || exit 1; for node in {names}; do "
        'case $found in *\'"name":"\'"$node"\'"\'*) ;; *) echo "no metrics of node $node"; exit 1 ;; esac; done; '
        "echo measured; }"
    )


def measures(nodes: Iterable[Machine]) -> Probe:
    """It has measured each of these nodes twice, 15 s apart, as what a processor does is a difference."""
    why = (
        f"timeout 20 {KUBECTL} get apiservice {_API} -o jsonpath='{{.status.conditions[*].message}}{{\"\\n\"}}' >&2\n"
        f"{pods_say('kube-system', 'k8s-app=metrics-server')}"
    )
    return Probe("metrics-server has measured all nodes", answers(nodes), 180, why=why)
