"""What each Kubernetes component is told: its flags, or its configuration file, as they fit the release.

Source: `kubernetes/CHANGELOG` of each minor, and the components' reference pages on kubernetes.io.
"""

from __future__ import annotations

from typing import Any

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.pki.certificates import (
    FRONT_PROXY_CLIENT,
    KUBELET_CLIENT,
    KUBERNETES_SSL,
    apiserver_serving,
)

CFG = "/opt/kubernetes/cfg"
LOGS = "/opt/kubernetes/logs"
CA_FILE = f"{KUBERNETES_SSL}/ca.pem"
KUBELET_CLIENT_PEM = f"{KUBERNETES_SSL}/kubelet-client-current.pem"
SERVICE_ACCOUNT_KEY = f"{KUBERNETES_SSL}/service-account-key.pem"
SERVICE_ACCOUNT_PUBLIC_KEY = f"{KUBERNETES_SSL}/service-account.pem"


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
        "audit-log-path": f"{LOGS}/audit.log",
        "audit-policy-file": f"{CFG}/audit-policy.yaml",
        "authorization-mode": "Node,RBAC",
        "client-ca-file": CA_FILE,
        # Masters run no kube-proxy, so Service addresses lead nowhere there.
        "enable-aggregator-routing": "true",
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": "true",
        "etcd-cafile": f"{KUBERNETES_SSL}/etcd-ca.pem",
        "etcd-certfile": f"{etcd_client}.pem",
        "etcd-keyfile": f"{etcd_client}-key.pem",
        "etcd-servers": cluster.etcd_servers,
        "kubelet-certificate-authority": CA_FILE,
        "kubelet-client-certificate": f"{KUBERNETES_SSL}/{KUBELET_CLIENT}.pem",
        "kubelet-client-key": f"{KUBERNETES_SSL}/{KUBELET_CLIENT}-key.pem",
        "kubelet-preferred-address-types": "InternalIP,Hostname",
        "profiling": "false",
        "proxy-client-cert-file": f"{KUBERNETES_SSL}/{FRONT_PROXY_CLIENT}.pem",
        "proxy-client-key-file": f"{KUBERNETES_SSL}/{FRONT_PROXY_CLIENT}-key.pem",
        "requestheader-allowed-names": FRONT_PROXY_CLIENT,
        "requestheader-client-ca-file": f"{KUBERNETES_SSL}/front-proxy-ca.pem",
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
        "token-auth-file": f"{CFG}/token.csv",
        "v": "2",
        **settings.apiserver_extra_args,
    }


def controller_manager_flags(cluster: Cluster) -> dict[str, str]:
    settings = cluster.settings
    kubeconfig = f"{CFG}/kube-controller-manager.kubeconfig"
    return {
        "allocate-node-cidrs": "true",
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "client-ca-file": CA_FILE,
        "cluster-cidr": str(settings.cluster_cidr),
        "cluster-name": settings.cluster_name,
        "cluster-signing-cert-file": CA_FILE,
        "cluster-signing-duration": f"{settings.kubelet_certificate_years * 365 * 24}h",
        "cluster-signing-key-file": f"{KUBERNETES_SSL}/ca-key.pem",
        "controllers": "*,bootstrapsigner,tokencleaner",
        # Against the client's own throttling (20 a second) while a cluster comes up.
        "kube-api-burst": "200",
        "kube-api-qps": "100",
        "kubeconfig": kubeconfig,
        "leader-elect": "true",
        "node-cidr-mask-size": str(settings.node_cidr_mask),
        "profiling": "false",
        "requestheader-client-ca-file": f"{KUBERNETES_SSL}/front-proxy-ca.pem",
        "root-ca-file": CA_FILE,
        "service-account-private-key-file": SERVICE_ACCOUNT_KEY,
        "service-cluster-ip-range": str(settings.service_cidr),
        "use-service-account-credentials": "true",
        "v": "2",
        **_loopback_status(cluster, "10252"),
        **settings.controller_manager_extra_args,
    }


def scheduler_flags(cluster: Cluster) -> dict[str, str]:
    kubeconfig = f"{CFG}/kube-scheduler.kubeconfig"
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


def _loopback_status(cluster: Cluster, port: str) -> dict[str, str]:
    """Up to 1.21 `kubectl get componentstatuses` asks these plain ports, on the master itself only."""
    return {"address": "127.0.0.1", "port": port} if cluster.release.minor <= (1, 21) else {}


MASTER_TAINT = "node-role.kubernetes.io/master:NoSchedule"


def is_tainted(cluster: Cluster, node: Machine) -> bool:
    """Whether only pods that tolerate masters may run there."""
    return "master" in node.groups and not cluster.settings.masters_schedulable


def kubelet_flags(cluster: Cluster, node: Machine) -> dict[str, str]:
    key, _, effect = MASTER_TAINT.partition(":")
    # From the first moment on; a taint that a setting changes later is put right in tasks/network.py.
    taints = {"register-with-taints": f"{key}=:{effect}"} if is_tainted(cluster, node) else {}
    return {
        **taints,
        "bootstrap-kubeconfig": f"{CFG}/bootstrap.kubeconfig",
        "cert-dir": KUBERNETES_SSL,
        "cni-bin-dir": "/opt/cni/bin",
        "cni-conf-dir": "/etc/cni/net.d",
        "config": f"{CFG}/kubelet-config.yaml",
        "hostname-override": node.node_name,
        "kubeconfig": f"{CFG}/kubelet.kubeconfig",
        "network-plugin": "cni",
        "node-ip": str(node.address),
        "pod-infra-container-image": cluster.pause_image,
        "v": "2",
    }


def kubelet_configuration(cluster: Cluster, node: Machine, resolv_conf: str) -> dict[str, Any]:
    settings = cluster.settings_of(node)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": CA_FILE},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "systemd",
        "clusterDNS": [str(settings.dns_address)],
        "clusterDomain": settings.cluster_domain,
        "failSwapOn": True,
        # 10 s is how late a node may show as Ready; 4 s costs nothing in clusters of this size.
        "nodeStatusUpdateFrequency": "4s",
        "readOnlyPort": 0,
        "resolvConf": resolv_conf,
        "rotateCertificates": True,
        "tlsCertFile": f"{KUBERNETES_SSL}/kubelet-serving.pem",
        "tlsPrivateKeyFile": f"{KUBERNETES_SSL}/kubelet-serving-key.pem",
        **settings.kubelet_extra_config,
    }


def kube_proxy_configuration(cluster: Cluster, node: Machine) -> dict[str, Any]:
    settings = cluster.settings
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        # With 0.0.0.0 it waits for its Node object to learn its own address.
        "bindAddress": str(node.address),
        "clientConnection": {"kubeconfig": f"{CFG}/kube-proxy.kubeconfig"},
        "clusterCIDR": str(settings.cluster_cidr),
        "conntrack": settings.kube_proxy_conntrack,
        "hostnameOverride": node.node_name,
        "ipvs": {"scheduler": settings.ipvs_scheduler},
        "metricsBindAddress": "127.0.0.1:10249",
        "mode": settings.kube_proxy_mode,
    }
