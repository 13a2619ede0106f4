"""Which certificates each machine needs, named as in Kubernetes' PKI requirements.

Source of names and usages: https://kubernetes.io/docs/setup/best-practices/certificates/
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.paths import ETCD_SSL, KUBERNETES_SSL
from kubeinfra.pki.spec import CAName, CertificateSpec

LOOPBACK = IPv4Address("127.0.0.1")

# Users that Kubernetes' own RBAC rules name; with another name the component has no rights.
CONTROLLER_MANAGER_USER = "system:kube-controller-manager"
SCHEDULER_USER = "system:kube-scheduler"
KUBE_PROXY_USER = "system:kube-proxy"
# Users that templates/control_plane/rbac.yaml.j2 and the API server's flags name.
KUBELET_CLIENT = "kube-apiserver-kubelet-client"
FRONT_PROXY_CLIENT = "front-proxy-client"


@dataclass(frozen=True)
class Certificate:
    """A certificate that a machine needs: the CA that issues it, its content, and the common path of its two files."""

    ca: CAName
    spec: CertificateSpec
    path: str
    """Without the ending: `<path>.pem` and `<path>-key.pem`."""

    @property
    def certificate_path(self) -> str:
        return f"{self.path}.pem"

    @property
    def key_path(self) -> str:
        return f"{self.path}-key.pem"

    @property
    def files(self) -> list[str]:
        return [self.certificate_path, self.key_path]


def etcd_server(machine: Machine) -> Certificate:
    """For clients and for the other members; a member is a client of its peers, and of itself."""
    spec = CertificateSpec(machine.hostname, "both", None, ("localhost", machine.hostname), (LOOPBACK, machine.address))
    return Certificate("etcd", spec, f"{ETCD_SSL}/server")


def apiserver_serving(cluster: Cluster) -> Certificate:
    spec = CertificateSpec("kube-apiserver", "server", None, cluster.apiserver_names, cluster.apiserver_addresses)
    return Certificate("kubernetes", spec, f"{KUBERNETES_SSL}/kube-apiserver")


def master_certificates(cluster: Cluster) -> list[Certificate]:
    """All certificates of a master; each machine has its own key for each."""
    return [
        apiserver_serving(cluster),
        _client("kubernetes", KUBELET_CLIENT),
        _client("etcd", "kube-apiserver-etcd-client"),
        _client("front-proxy", FRONT_PROXY_CLIENT),
        _client("kubernetes", CONTROLLER_MANAGER_USER, file="kube-controller-manager"),
        _client("kubernetes", SCHEDULER_USER, file="kube-scheduler"),
        _client("kubernetes", "admin", organization="system:masters"),
    ]


def node_certificates(node: Machine) -> list[Certificate]:
    """A node's kubelet gets its client certificate by TLS bootstrapping; the rest comes from here."""
    serving = CertificateSpec(
        f"system:node:{node.node_name}", "server", "system:nodes", (node.hostname,), (LOOPBACK, node.address)
    )
    return [
        Certificate("kubernetes", serving, f"{KUBERNETES_SSL}/kubelet-serving"),
        _client("kubernetes", KUBE_PROXY_USER, file="kube-proxy"),
    ]


def _client(ca: CAName, user: str, organization: str | None = None, file: str | None = None) -> Certificate:
    return Certificate(ca, CertificateSpec(user, "client", organization), f"{KUBERNETES_SSL}/{file or user}")
