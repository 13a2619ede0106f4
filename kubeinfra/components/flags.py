"""The flags, or the configuration file, of each Kubernetes component, for the release.

Source: `kubernetes/CHANGELOG` of each minor, and the components' reference pages on kubernetes.io.
"""

from __future__ import annotations

from typing import Any

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.cluster.settings import Mode, Settings
from kubeinfra.components.documents import merged
from kubeinfra.components.runtime import runtime
from kubeinfra.paths import (
    FRONT_PROXY_CA,
    KUBELET_KUBECONFIG,
    KUBERNETES_CA,
    KUBERNETES_CA_KEY,
    KUBERNETES_CFG,
    KUBERNETES_LOGS,
    KUBERNETES_SSL,
    MASTER_ETCD_CA,
    SERVICE_ACCOUNT_KEY,
    SERVICE_ACCOUNT_PUBLIC_KEY,
    TOKEN_CSV,
)
from kubeinfra.pki.certificates import FRONT_PROXY_CLIENT, KUBELET_CLIENT, apiserver_serving


def apiserver_flags(cluster: Cluster, master: Machine) -> dict[str, str]:
    settings = cluster.settings
    serving = apiserver_serving(cluster)
    etcd_client = f"{KUBERNETES_SSL}/kube-apiserver-etcd-client"
    return {
        "advertise-address": str(master.address),
        "allow-privileged": "true",
        "audit-log-maxage": str(settings.audit_log_max_days),
        "audit-log-maxbackup": str(settings.audit_log_max_files),
        "audit-log-maxsize": str(settings.audit_log_max_megabytes),
        "audit-log-path": f"{KUBERNETES_LOGS}/audit.log",
        "audit-policy-file": f"{KUBERNETES_CFG}/audit-policy.yaml",
        "authorization-mode": "Node,RBAC",
        "client-ca-file": KUBERNETES_CA,
        # Masters run no kube-proxy, so Service addresses lead nowhere there.
        "enable-aggregator-routing": "true",
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": "true",
        "etcd-cafile": MASTER_ETCD_CA,
        "etcd-certfile": f"{etcd_client}.pem",
        "etcd-keyfile": f"{etcd_client}-key.pem",
        "etcd-servers": cluster.etcd_servers,
        "kubelet-certificate-authority": KUBERNETES_CA,
        "kubelet-client-certificate": f"{KUBERNETES_SSL}/{KUBELET_CLIENT}.pem",
        "kubelet-client-key": f"{KUBERNETES_SSL}/{KUBELET_CLIENT}-key.pem",
        "kubelet-preferred-address-types": "InternalIP,Hostname",
        "profiling": "false",
        "proxy-client-cert-file": f"{KUBERNETES_SSL}/{FRONT_PROXY_CLIENT}.pem",
        "proxy-client-key-file": f"{KUBERNETES_SSL}/{FRONT_PROXY_CLIENT}-key.pem",
        "requestheader-allowed-names": FRONT_PROXY_CLIENT,
        "requestheader-client-ca-file": FRONT_PROXY_CA,
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "secure-port": str(settings.apiserver_port),
        "service-account-issuer": f"https://kubernetes.default.svc.{settings.cluster_domain}",
        "service-account-key-file": SERVICE_ACCOUNT_PUBLIC_KEY,
        "service-account-signing-key-file": SERVICE_ACCOUNT_KEY,
        "service-cluster-ip-range": str(settings.service_cidr),
        "service-node-port-range": settings.node_port_range,
        "tls-cert-file": serving.certificate_path,
        "tls-private-key-file": serving.key_path,
        **({"token-auth-file": TOKEN_CSV} if cluster.bootstrap_tokens == "static" else {}),
        "v": "2",
        **settings.apiserver_extra_args,
    }


def controller_manager_flags(cluster: Cluster, signing_ca: str = KUBERNETES_CA) -> dict[str, str]:
    """+ signing_ca: path of the certificate with which it signs; the file must hold no other certificate"""
    settings = cluster.settings
    kubeconfig = f"{KUBERNETES_CFG}/kube-controller-manager.kubeconfig"
    return {
        "allocate-node-cidrs": "true",
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "client-ca-file": KUBERNETES_CA,
        "cluster-cidr": str(settings.cluster_cidr),
        "cluster-name": settings.cluster_name,
        "cluster-signing-cert-file": signing_ca,
        "cluster-signing-duration": f"{settings.kubelet_certificate_years * 365 * 24}h",
        "cluster-signing-key-file": KUBERNETES_CA_KEY,
        "controllers": "*,bootstrapsigner,tokencleaner",
        # Against the client's own throttling (20 a second) while a cluster comes up.
        "kube-api-burst": "200",
        "kube-api-qps": "100",
        "kubeconfig": kubeconfig,
        "leader-elect": "true",
        "node-cidr-mask-size": str(settings.node_cidr_mask),
        "profiling": "false",
        "requestheader-client-ca-file": FRONT_PROXY_CA,
        "root-ca-file": KUBERNETES_CA,
        "service-account-private-key-file": SERVICE_ACCOUNT_KEY,
        "service-cluster-ip-range": str(settings.service_cidr),
        "use-service-account-credentials": "true",
        "v": "2",
        **_loopback_status(cluster, "kube-controller-manager"),
        **settings.controller_manager_extra_args,
    }


def scheduler_flags(cluster: Cluster) -> dict[str, str]:
    kubeconfig = f"{KUBERNETES_CFG}/kube-scheduler.kubeconfig"
    return {
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "kubeconfig": kubeconfig,
        "leader-elect": "true",
        "profiling": "false",
        "v": "2",
        **_loopback_status(cluster, "kube-scheduler"),
        **cluster.settings.scheduler_extra_args,
    }


# The last minor whose `kubectl get componentstatuses` asks this port without TLS, and whose program listens there on
# all interfaces if it is told nothing: serversToValidate in pkg/registry/core/rest/storage_core.go.
_PLAIN = {"kube-controller-manager": (10252, (1, 21)), "kube-scheduler": (10251, (1, 22))}


def plain_ports(cluster: Cluster, program: str) -> list[int]:
    """The ports, on the master itself only, where the program tells its health without TLS."""
    port, until = _PLAIN[program]
    return [port] if cluster.release.minor <= until else []


def _loopback_status(cluster: Cluster, program: str) -> dict[str, str]:
    ports = plain_ports(cluster, program)
    return {"address": "127.0.0.1", "port": str(ports[0])} if ports else {}


def master_taints(cluster: Cluster) -> list[str]:
    """As the API has them: "key:NoSchedule"."""
    return [f"{key}:NoSchedule" for key in cluster.release.control_plane_taints]


def is_tainted(cluster: Cluster, node: Machine) -> bool:
    """Whether only pods that tolerate masters may run there."""
    return "master" in node.groups and not cluster.settings.masters_schedulable


def kubelet_flags(cluster: Cluster, node: Machine) -> dict[str, str]:
    taints = [*(master_taints(cluster) if is_tainted(cluster, node) else []), *cluster.settings_of(node).node_taints]
    with_value = ",".join(taint if "=" in taint else taint.replace(":", "=:", 1) for taint in taints)
    return {
        # From registration on; a taint that a setting changes later is updated by tasks/node_objects.py.
        **({"register-with-taints": with_value} if taints else {}),
        **runtime(cluster).kubelet_flags(cluster),
        "bootstrap-kubeconfig": f"{KUBERNETES_CFG}/bootstrap.kubeconfig",
        "cert-dir": KUBERNETES_SSL,
        "config": f"{KUBERNETES_CFG}/kubelet-config.yaml",
        "hostname-override": node.node_name,
        "kubeconfig": KUBELET_KUBECONFIG,
        "node-ip": str(node.address),
        "v": "2",
    }


def fails_on_cgroup_v1(cluster: Cluster) -> bool:
    """From 1.35 on a kubelet does not start there, unless it is told to (SetDefaults_KubeletConfiguration)."""
    return cluster.release.minor >= (1, 35)


SMALL = 100
"""Nodes up to which each kubelet may report every few seconds: 25 writes a second."""


def _status_updates(nodes: int) -> dict[str, str]:
    """
    How often a kubelet looks at its node's status, and tells the API server.

    Upstream's 10 s is how late a node may show as Ready, and a small cluster comes up sooner with 4 s. But a frequency
    that is said is also how often the whole status is written, changed or not, and otherwise that is every 5 minutes
    (KubeletConfiguration, nodeStatusReportFrequency; SetDefaults_KubeletConfiguration in v1beta1/defaults.go): a large
    cluster gets upstream's defaults.
    """
    return {"nodeStatusUpdateFrequency": "4s"} if nodes <= SMALL else {}


def _swap(settings: Settings) -> dict[str, Any]:
    """Source: KubeletConfiguration, memorySwap; Burstable pods get swap, in proportion to their memory request."""
    if settings.swap == "limited":
        return {"failSwapOn": False, "memorySwap": {"swapBehavior": "LimitedSwap"}}
    return {"failSwapOn": True}


def kubelet_configuration(cluster: Cluster, node: Machine, resolv_conf: str, cgroup_v1: bool = False) -> dict[str, Any]:
    """+ resolv_conf: path of the pods' own; + cgroup_v1: whether the machine has no unified hierarchy"""
    settings = cluster.settings_of(node)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": KUBERNETES_CA},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "systemd",
        "clusterDNS": [str(settings.dns_address)],
        "clusterDomain": settings.cluster_domain,
        **({"failCgroupV1": False} if cgroup_v1 and fails_on_cgroup_v1(cluster) else {}),
        **_swap(settings),
        **_status_updates(len(cluster.nodes)),
        "readOnlyPort": 0,
        "resolvConf": resolv_conf,
        "rotateCertificates": True,
        "tlsCertFile": f"{KUBERNETES_SSL}/kubelet-serving.pem",
        "tlsPrivateKeyFile": f"{KUBERNETES_SSL}/kubelet-serving-key.pem",
        **runtime(cluster).kubelet_configuration(cluster),
        **settings.kubelet_extra_config,
    }


def kube_proxy_configuration(cluster: Cluster, node: Machine, mode: Mode) -> dict[str, Any]:
    settings = cluster.settings_of(node)
    own = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        # With 0.0.0.0 it waits for its Node object to learn its own address.
        "bindAddress": str(node.address),
        "clientConnection": {"kubeconfig": f"{KUBERNETES_CFG}/kube-proxy.kubeconfig"},
        "clusterCIDR": str(settings.cluster_cidr),
        "conntrack": settings.kube_proxy_conntrack,
        "hostnameOverride": node.node_name,
        **_ipvs(mode, settings.ipvs_scheduler),
        "metricsBindAddress": "127.0.0.1:10249",
        "mode": mode,
    }
    return merged(own, settings.kube_proxy_extra_config)


def _ipvs(mode: Mode, scheduler: str) -> dict[str, Any]:
    """
    With strictARP a node answers ARP for its own addresses only. kube-ipvs0 has the address of every Service, and
    without it each node answers for all of them, on every network that it is in.
    """
    if mode == "nftables":
        return {}
    return {"ipvs": {"scheduler": scheduler} | ({"strictARP": True} if mode == "ipvs" else {})}


def kube_proxy_flags() -> dict[str, str]:
    return {"config": f"{KUBERNETES_CFG}/kube-proxy-config.yaml", "v": "2"}
