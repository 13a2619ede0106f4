"""Which binaries and images each machine needs, and where they go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.releases.catalogue import Artifact, artifact

ETCD_BIN = "/opt/etcd/bin"
KUBERNETES_BIN = "/opt/kubernetes/bin"
CNI_BIN = "/opt/cni/bin"


@dataclass(frozen=True)
class Needed:
    """Binaries of one artifact in one directory; `names` empty: all that the artifact has."""

    artifact: Artifact
    directory: str
    names: tuple[str, ...] = ()


def needed(cluster: Cluster, machine: Machine, arch: str, components: Iterable[str]) -> list[Needed]:
    """What a machine needs for these of its components: "etcd", "control plane", "node"."""
    wanted = set(components)
    found = []
    if "etcd" in wanted and "etcd" in machine.groups:
        found.append(Needed(artifact("etcd", cluster.etcd_version, arch), ETCD_BIN, ("etcd", "etcdctl")))
    kubernetes = artifact("kubernetes", cluster.release.kubernetes, arch)
    if "control plane" in wanted and "master" in machine.groups:
        names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
        found.append(Needed(kubernetes, KUBERNETES_BIN, names))
    if "node" in wanted and "node" in machine.groups:
        found.append(Needed(kubernetes, KUBERNETES_BIN, ("kubelet", "kube-proxy")))
        found.append(Needed(artifact("cni-plugins", cluster.release.cni_plugins, arch), CNI_BIN))
    return found


def node_images(cluster: Cluster) -> list[str]:
    """References of the images that a node should have before it needs them."""
    return [
        cluster.pause_image,
        cluster.flannel_image,
        cluster.flannel_cni_plugin_image,
        cluster.coredns_image,
        cluster.verify_image,
    ]
