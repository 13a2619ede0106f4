"""flannel, and the gate that every node is Ready on it."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.cluster.cluster import Machine
from kubeinfra.components import flags
from kubeinfra.components.flags import CFG
from kubeinfra.health.questions import pod_network
from kubeinfra.machine.render import template
from kubeinfra.machine.wanted import File
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import Probe, apply, barrier, once, require, wait_until
from kubeinfra.operations.system import note
from kubeinfra.run.hosts import is_deploy_file, is_in_this_run, is_lead_host, runs_kubectl, this_machine
from kubeinfra.run.inventory import cluster
from tasks.control_plane import KUBECTL, READY
from tasks.preflight import preflight

MANIFEST = f"{CFG}/kube-flannel.yaml"
_STATUS = f"{KUBECTL} -n kube-flannel rollout status daemonset/kube-flannel-ds --timeout=2s"
ROLLED_OUT = Probe("flannel is rolled out", _STATUS, 300)


def awaited_nodes() -> tuple[Machine, ...]:
    """Those of this run; all of them where it is about none (--limit master)."""
    return tuple(filter(is_in_this_run, cluster().nodes)) or cluster().nodes


def all_nodes_ready() -> str:
    """Succeeds when each of these nodes is there and Ready; else says which are not."""
    names = " ".join(machine.node_name for machine in awaited_nodes())
    path = '{range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status}{" "}{end}'
    return (
        f"found=\" $({KUBECTL} get nodes -o jsonpath='{path}')\" || exit 1; for node in {names}; do "
        'case $found in *" $node=True "*) ;; *) echo "node $node is not Ready"; exit 1 ;; esac; done'
    )


@deploy("network")
def network() -> None:
    """Applied from one master, only where the cluster has something else."""
    if is_lead_host() and not any(map(is_in_this_run, cluster().masters)):
        note("no master takes part in this run: the network, the add-ons and the traffic are left as they are")
    if not runs_kubectl():
        return
    install([File(MANIFEST, manifest())], name="manifest")
    apply(KUBECTL, MANIFEST, name="flannel")


@deploy("network")
def network_gate() -> None:
    """flannel on all nodes, each on the pod network that its Node has, and the nodes Ready."""
    if "node" in host.groups:
        machine = this_machine()
        once(
            "put flannel and the pods on the network that the Node has now",
            # Before flannel's first start there is nothing to move.
            unless=f"[ -e /run/flannel/subnet.env ] || exit 0\n{pod_network(machine)}",
            command=pod_network(machine, move=True),
            name="pod network",
        )
    barrier(name="pods are on their nodes' networks")
    if not runs_kubectl():
        return
    if awaited_nodes() == cluster().nodes:  # one that is dead is left out of the run, and has no flannel
        wait_until(ROLLED_OUT, name="flannel rolled out")
    wait_until(Probe("all nodes are Ready", all_nodes_ready()), name="nodes Ready")


@deploy("network")
def taints() -> None:
    """Masters that are nodes too: ordinary pods only where the setting lets them."""
    if not runs_kubectl():
        return
    key, _, effect = flags.MASTER_TAINT.partition(":")
    for node in cluster().nodes:
        if "master" not in node.groups or node not in awaited_nodes():
            continue
        has = f"{KUBECTL} get node {node.node_name} -o jsonpath='{{.spec.taints[*].key}}' | grep -qw {key}"
        tainted = flags.is_tainted(cluster(), node)
        once(
            f"{'put' if tainted else 'remove'} taint {flags.MASTER_TAINT} {'on' if tainted else 'from'} {node.name}",
            unless=has if tainted else f"! {has}",
            command=f"{KUBECTL} taint node {node.node_name} {key}{f'=:{effect} --overwrite' if tainted else '-'}",
            name=f"taint of {node.name}",
        )


def manifest() -> str:
    settings, release = cluster().settings, cluster().release
    return template(
        "network/kube-flannel.yaml.j2",
        cluster_cidr=settings.cluster_cidr,
        backend=settings.flannel_backend,
        cni_config_version=release.cni_config_version,
        image=cluster().flannel_image,
        cni_plugin_image=cluster().flannel_cni_plugin_image,
    )


if is_deploy_file(__file__):
    preflight()
    if runs_kubectl():
        require(READY, "run tasks/control_plane.py first", name="the API server is ready")
    network()
    network_gate()
    taints()
