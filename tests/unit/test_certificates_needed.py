"""Which certificates each machine needs, in the words of Kubernetes' own rules."""

from __future__ import annotations

from ipaddress import IPv4Address

from cluster_samples import VIRTUAL_IP, guide

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.pki.certificates import Certificate, etcd_server, master_certificates, node_certificates

FOUND = guide()


def row(certificate: Certificate) -> tuple[str, str, str, str | None]:
    spec = certificate.spec
    return certificate.ca, spec.common_name, str(spec.usage), spec.organization


def test_a_masters_certificates_have_the_names_that_rbac_knows() -> None:
    """https://kubernetes.io/docs/setup/best-practices/certificates/"""
    assert {certificate.path.rpartition("/")[2]: row(certificate) for certificate in master_certificates(FOUND)} == {
        "kube-apiserver": ("kubernetes", "kube-apiserver", "server", None),
        "kube-apiserver-kubelet-client": ("kubernetes", "kube-apiserver-kubelet-client", "client", None),
        "kube-apiserver-etcd-client": ("etcd", "kube-apiserver-etcd-client", "client", None),
        "front-proxy-client": ("front-proxy", "front-proxy-client", "client", None),
        "kube-controller-manager": ("kubernetes", "system:kube-controller-manager", "client", None),
        "kube-scheduler": ("kubernetes", "system:kube-scheduler", "client", None),
        "admin": ("kubernetes", "admin", "client", "system:masters"),
    }


def test_a_nodes_certificates_have_the_names_that_rbac_knows() -> None:
    serving, proxy = node_certificates(FOUND.nodes[0])
    assert row(serving) == ("kubernetes", "system:node:192.168.80.11", "server", "system:nodes")
    assert row(proxy) == ("kubernetes", "system:kube-proxy", "client", None)
    assert serving.spec.addresses == (IPv4Address("127.0.0.1"), IPv4Address("192.168.80.11"))
    assert serving.spec.dns_names == ("n1",)


def test_a_member_of_etcd_is_server_and_client_under_each_of_its_names() -> None:
    certificate = etcd_server(FOUND.etcd_machines[1])
    assert row(certificate) == ("etcd", "n1", "both", None)
    assert certificate.files == ["/opt/etcd/ssl/server.pem", "/opt/etcd/ssl/server-key.pem"]
    assert certificate.spec.addresses == (IPv4Address("127.0.0.1"), IPv4Address("192.168.80.11"))
    assert certificate.spec.dns_names == ("localhost", "n1")


def test_every_masters_api_server_can_be_called_by_every_name() -> None:
    (serving,) = [each for each in master_certificates(FOUND) if each.spec.usage == "server"]
    assert IPv4Address(VIRTUAL_IP) in serving.spec.addresses
    assert {master.address for master in FOUND.masters} <= set(serving.spec.addresses)
    assert "kubernetes.default.svc.cluster.local" in serving.spec.dns_names


def test_only_the_administrator_is_of_the_masters_group() -> None:
    """Its members may do everything, and RBAC cannot take that from them."""
    every = [*master_certificates(FOUND), *node_certificates(FOUND.nodes[0]), etcd_server(FOUND.etcd_machines[0])]
    assert [row(each)[1] for each in every if each.spec.organization == "system:masters"] == ["admin"]


def test_no_two_certificates_of_a_machine_share_a_file() -> None:
    one: Cluster = FOUND
    every = [*master_certificates(one), *node_certificates(one.nodes[0]), etcd_server(one.etcd_machines[0])]
    paths = [path for each in every for path in each.files]
    assert len(paths) == len(set(paths)) == 2 * len(every)
