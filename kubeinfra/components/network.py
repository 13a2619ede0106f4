"""The pods' network: flannel from a manifest, and whether every node is on it."""

from __future__ import annotations

from collections.abc import Iterable

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.cluster.settings import Settings
from kubeinfra.components.as_node import as_node
from kubeinfra.components.base import Component, Here, Port, Probe
from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.components.pods import pods_say
from kubeinfra.machine.render import template
from kubeinfra.machine.wanted import File
from kubeinfra.paths import CNI_CONF, KUBERNETES_CFG

MANIFEST = f"{KUBERNETES_CFG}/kube-flannel.yaml"
OWNS = (MANIFEST, f"{CNI_CONF}/10-flannel.conflist", "/run/flannel")
_STATUS = f"{KUBECTL} -n kube-flannel rollout status daemonset/kube-flannel-ds --timeout=2s"
_PODS = pods_say("kube-flannel", "app=flannel")
ROLLED_OUT = Probe("flannel is rolled out", _STATUS, 300, why=_PODS)
# A restart of the container runtime may take flannel's container with it.
BACK = Probe("flannel, and with it the pods' network, is back", "pgrep -x flanneld", 120, "kubelet")


def ports(cluster: Cluster) -> tuple[Port, ...]:
    vxlan = (
        (Port(cluster.settings.flannel_port, "flannel", ("nodes (flannel, vxlan)",), "udp"),)
        if cluster.settings.flannel_backend == "vxlan"
        else ()
    )
    return (*vxlan, Port(8081, "flannel"))


def describe(here: Here) -> Component:
    """On the master that applies it."""
    cluster = here.cluster
    manifest = template(
        "network/kube-flannel.yaml.j2",
        cluster_cidr=here.settings.cluster_cidr,
        backend=here.settings.flannel_backend,
        backend_options=_backend_options(here.settings),
        cni_config_version=cluster.release.cni_config_version,
        image=cluster.flannel_image,
        cni_plugin_image=cluster.flannel_cni_plugin_image,
    )
    return Component((File(MANIFEST, manifest),))


def _backend_options(settings: Settings) -> dict[str, int]:
    """Options of flannel's backend that are not its defaults (flannel's Documentation/backends.md)."""
    default = Settings.model_fields["flannel_port"].default
    port = {"Port": settings.flannel_port} if settings.flannel_port != default else {}
    return port | ({"MTU": settings.flannel_mtu} if settings.flannel_mtu is not None else {})


def on_its_network(machine: Machine) -> Probe:
    """flannel and the pods' bridge have the network of the Node."""
    return Probe("flannel and the pods have the network of the Node", pod_network(machine))


def pod_network(machine: Machine, move: bool = False) -> str:
    """Shell that succeeds if flannel and the pods' bridge have the network of the Node; `move` puts them there."""
    return template(
        "network/pod-network.sh.j2",
        ask=as_node(f"/api/v1/nodes/{machine.node_name}"),
        node=machine.node_name,
        move=move,
    )


# What kubelets say of their nodes, such as "container runtime is down": the message of condition Ready.
_NODES_SAY = f"""\
timeout 20 {KUBECTL} get nodes --output custom-columns=\
'NODE:.metadata.name,READY:.status.conditions[?(@.type=="Ready")].status,\
WHY:.status.conditions[?(@.type=="Ready")].message' >&2"""


def nodes_ready(nodes: Iterable[Machine]) -> Probe:
    """Each of these nodes exists and is Ready; else its output names one that is not."""
    names = " ".join(machine.node_name for machine in nodes)
    path = '{range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status}{" "}{end}'
    command = (
        f"found=\" $({KUBECTL} get nodes -o jsonpath='{path}')\" || exit 1; for node in {names}; do "
        'case $found in *" $node=True "*) ;; *) echo "node $node is not Ready"; exit 1 ;; esac; done'
    )
    return Probe("all nodes are Ready", command, why=f"{_NODES_SAY}\n{_PODS}")
