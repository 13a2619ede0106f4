"""The flags, or the configuration file, of each Kubernetes component, for the release.

Source: `kubernetes/CHANGELOG` of each minor, and the components' reference pages on kubernetes.io.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeinfra.cluster.cluster import Cluster, Machine
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
        "token-auth-file": TOKEN_CSV,
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
        **_loopback_status(cluster, "10252"),
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
        **_loopback_status(cluster, "10251"),
        **cluster.settings.scheduler_extra_args,
    }


def has_plain_status(cluster: Cluster) -> bool:
    """Up to 1.21 `kubectl get componentstatuses` asks plain ports of scheduler and controller-manager."""
    return cluster.release.minor <= (1, 21)


def _loopback_status(cluster: Cluster, port: str) -> dict[str, str]:
    """On the master itself only."""
    return {"address": "127.0.0.1", "port": port} if has_plain_status(cluster) else {}


MASTER_TAINT = "node-role.kubernetes.io/master:NoSchedule"


def is_tainted(cluster: Cluster, node: Machine) -> bool:
    """Whether only pods that tolerate masters may run there."""
    return "master" in node.groups and not cluster.settings.masters_schedulable


def kubelet_flags(cluster: Cluster, node: Machine) -> dict[str, str]:
    taints = [*([MASTER_TAINT] if is_tainted(cluster, node) else []), *cluster.settings_of(node).node_taints]
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


def kubelet_configuration(cluster: Cluster, node: Machine, resolv_conf: str) -> dict[str, Any]:
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
        "failSwapOn": True,
        **_status_updates(len(cluster.nodes)),
        "readOnlyPort": 0,
        "resolvConf": resolv_conf,
        "rotateCertificates": True,
        "tlsCertFile": f"{KUBERNETES_SSL}/kubelet-serving.pem",
        "tlsPrivateKeyFile": f"{KUBERNETES_SSL}/kubelet-serving-key.pem",
        **settings.kubelet_extra_config,
    }


def kube_proxy_configuration(cluster: Cluster, node: Machine) -> dict[str, Any]:
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
        "ipvs": _ipvs(cluster),
        "metricsBindAddress": "127.0.0.1:10249",
        "mode": settings.kube_proxy_mode,
    }
    return merged(own, settings.kube_proxy_extra_config)


def _ipvs(cluster: Cluster) -> dict[str, Any]:
    """
    With strictARP a node answers ARP for its own addresses only. kube-ipvs0 has the address of every Service, and
    without it each node answers for all of them, on every network that it is in.
    """
    scheduler = {"scheduler": cluster.settings.ipvs_scheduler}
    return scheduler | {"strictARP": True} if cluster.settings.kube_proxy_mode == "ipvs" else scheduler


def merged(own: Mapping[str, Any], further: Mapping[str, Any]) -> dict[str, Any]:
    """Both; where both have a value, the further one, unless both values are mappings, which are merged as well."""
    found = {**own, **further}
    for key in own.keys() & further.keys():
        if isinstance(own[key], Mapping) and isinstance(further[key], Mapping):
            found[key] = merged(own[key], further[key])
    return found


def kube_proxy_flags() -> dict[str, str]:
    return {"config": f"{KUBERNETES_CFG}/kube-proxy-config.yaml", "v": "2"}
