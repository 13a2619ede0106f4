"""Every setting of a cluster: its name, type, default and meaning. docs/settings.md is made from here."""

from __future__ import annotations

import re
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, WithJsonSchema, field_validator

from kubeinfra.cluster.labels import Labels, Taints
from kubeinfra.cluster.registries import RegistryMirrors, RuntimeProxy
from kubeinfra.cluster.types import (
    Address,
    ArtifactMirror,
    BaseUrl,
    ContainerdVersion,
    Digest,
    Directory,
    DnsLabel,
    DnsName,
    DnsUpstream,
    DockerConfig,
    DockerVersion,
    Endpoint,
    EtcdVersion,
    Flag,
    Host,
    HostName,
    ImageReference,
    KubernetesVersion,
    LocalPath,
    LogSize,
    Network,
    NumberOrPercentage,
    OwnBuild,
    Port,
    Ports,
    Retention,
    SysctlName,
    VrrpPassword,
    Years,
    is_control,
    texts_of,
)
from kubeinfra.releases import catalogue as releases


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _one_line(cls, value: object) -> object:
        """Values become lines of units, configuration files and shell: a line break would begin a new line there."""
        if any(is_control(character) for text in texts_of(value) for character in text):
            raise ValueError("it has a line break or another control character in it; take that out")
        return value


class _PerMachine:
    """Marks a setting that a group's file, or a machine in the inventory, may set for itself; see `layers`."""


_Value = TypeVar("_Value")
PerMachine = Annotated[_Value, _PerMachine()]


Mode = Literal["ipvs", "iptables", "nftables"]
"""How kube-proxy balances Services."""
MODES: tuple[Mode, ...] = get_args(Mode)


class Settings(_Strict):
    """What `group_data/` may set; for the whole cluster, unless it is PerMachine."""

    # The cluster
    cluster_name: DnsLabel = "kubernetes"
    """Name of the cluster: in kubeconfigs, and the directory of its CAs, `.kubeinfra/<cluster_name>/`."""
    kubernetes_version: KubernetesVersion = releases.DEFAULT
    """Kubernetes release, any patch of a minor in docs/releases.md; runtime, etcd and images follow from it."""
    etcd_version: EtcdVersion | None = None
    """etcd release; by default the one that goes with the Kubernetes release."""
    service_cidr: Network = IPv4Network("10.0.0.0/24")
    """Network of the Services' cluster addresses; the first address is the API server's own Service."""
    dns_address: Address = IPv4Address("10.0.0.2")
    """Address of the cluster's DNS Service, inside `service_cidr`."""
    cluster_domain: DnsName = "cluster.local"
    """DNS domain of the Services."""
    cluster_cidr: Network = IPv4Network("10.244.0.0/16")
    """Network of the pods, cut into one piece a node."""
    node_cidr_mask: Annotated[int, Field(ge=8, le=30)] = 24
    """Prefix length of a node's piece of `cluster_cidr`: 24 gives a node 254 pod addresses."""
    node_port_range: Ports = "30000-32767"
    """Ports for Services of type NodePort."""
    control_plane_endpoint: Endpoint | None = None
    """`address:port` where clients reach the API servers; by default `virtual_ip`, or the only master."""
    apiserver_port: Port = 6443
    """Port of each API server."""

    # Certificates
    ca_years: Years = 10
    """Lifetime of a new CA (etcd, Kubernetes, front proxy), in years."""
    certificate_years: Years = 10
    """Lifetime of the certificates that the deploy issues, in years; none is valid longer than its CA."""
    kubelet_certificate_years: Years = 10
    """Lifetime of the client certificates that the controller-manager signs for kubelets, in years."""

    # Artifacts
    artifacts_dir: LocalPath | None = None
    """Directory that you filled with releases and image tars, looked into first; layout in docs/artifacts.md."""
    cache_dir: LocalPath | None = None
    """Where downloads are kept on this machine; by default `~/.cache/kubeinfra`."""
    artifact_mirror: ArtifactMirror | None = None
    """URL prefix in place of scheme and host of every download; `{host}` in it is upstream's host: `https://files.m.daocloud.io/{host}`."""
    own_builds: dict[OwnBuild, Digest] = Field(default_factory=dict)
    """Releases and images that you built yourself: path below `artifacts_dir` -> `sha256:<hex>`; shown as `(built)`."""

    # Machines
    unlisted_distribution_as: PerMachine[str | None] = None
    """Row of docs/platforms.md for a distribution that is not there, `debian 12`; may differ by group and machine."""
    preflight_ignore: list[str] = Field(default_factory=list)
    """Checks of preflight whose warnings are not told, such as `["etcd-disk-latency"]`; names in docs/preflight.md."""
    disable_ipv6: bool = True
    """Switch IPv6 off on the machines."""
    extra_sysctls: dict[SysctlName, int | str] = Field(default_factory=dict)
    """Further sysctls for every machine; they override the deploy's own."""
    time_servers: list[Host] = Field(default_factory=lambda: ["ntp.aliyun.com", "pool.ntp.org"])
    """NTP servers for chrony; not used if another time daemon keeps the clock right already."""

    # Container runtime
    container_runtime: Literal["docker", "containerd"] | None = None
    """What runs the containers; by default Docker up to Kubernetes 1.23, the last that can use it, then containerd."""
    registry_mirrors: RegistryMirrors | None = None
    """Mirrors of Docker Hub; of each registry `{"quay.io": ["https://m.io/quay"]}` with containerd; by default none."""
    runtime_proxy: Annotated[RuntimeProxy, WithJsonSchema({"type": "object"})] | None = None
    """Proxy to pull images through: `http_proxy`, `https_proxy`, `no_proxy`; a password in it is kept secret."""
    container_log_max_size: LogSize = "500m"
    """Size at which a container's log is rotated."""
    container_log_max_files: Annotated[int, Field(ge=1)] = 3
    """How many log files of a container are kept; containerd's kubelets keep at least 2."""
    docker_source: Literal["docker-ce", "distribution"] = "docker-ce"
    """Where Docker comes from: Docker's packages, or Debian's and Ubuntu's own (`docker.io`)."""
    docker_repository: BaseUrl = "https://mirrors.aliyun.com/docker-ce"
    """Base URL of Docker's packages; Docker's own is `https://download.docker.com`."""
    docker_version: DockerVersion | None = None
    """Release of docker-ce, a prefix such as `24.0`; by default the newest that goes with the Kubernetes release."""
    docker_extra_config: DockerConfig = Field(default_factory=dict)
    """Further keys of daemon.json; keys that others wrote into it are kept in any case."""
    containerd_source: Literal["upstream", "docker-ce", "distribution"] = "upstream"
    """Where containerd comes from: upstream, Docker's package `containerd.io`, or Debian's and Ubuntu's own."""
    containerd_version: ContainerdVersion | None = None
    """Release of containerd, of `containerd.io` a prefix; by default one that goes with the Kubernetes release."""
    containerd_extra_config: dict[str, JsonValue] = Field(default_factory=dict)
    """Further keys of containerd's config.toml, merged with the deploy's own."""
    crictl: bool = True
    """Bring crictl, which shows containerd's pods and images, to the nodes; nothing depends on it."""

    max_unavailable: NumberOrPercentage = "10%"
    """Nodes whose container runtime or kubelet a run may restart at a time, a number or a percentage, rounded up."""

    # etcd
    etcd_quota_backend_bytes: Annotated[int, Field(ge=2**20)] = 8 * 2**30
    """Size at which etcd stops taking writes, in bytes; 8 GiB is the largest that etcd recommends."""
    etcd_compaction_retention: Retention = "1h"
    """How much history etcd itself keeps (the API server compacts as well, every 5 minutes)."""
    backup_dir: Directory = "/data/backup"
    """Directory on an etcd member where day2/backup.py keeps snapshots."""
    backup_keep: Annotated[int, Field(ge=1)] = 7
    """How many snapshots are kept, on the member and on the controller each."""

    # Control plane
    apiserver_extra_args: dict[Flag, str] = Field(default_factory=dict)
    """Further flags of kube-apiserver, without the dashes; they override the deploy's own."""
    controller_manager_extra_args: dict[Flag, str] = Field(default_factory=dict)
    """Further flags of kube-controller-manager."""
    scheduler_extra_args: dict[Flag, str] = Field(default_factory=dict)
    """Further flags of kube-scheduler."""
    audit_log_max_days: Annotated[int, Field(ge=1)] = 30
    """Days that rotated audit logs are kept."""
    audit_log_max_files: Annotated[int, Field(ge=1)] = 10
    """Rotated audit logs that are kept."""
    audit_log_max_megabytes: Annotated[int, Field(ge=1)] = 100
    """Size at which the audit log is rotated, in MiB."""

    # Load balancers
    virtual_ip: Address | None = None
    """Address that one load balancer at a time holds, in their own subnet; needed with a group lb."""
    load_balancer_engine: Literal["nginx", "haproxy"] = "nginx"
    """What passes TCP on to the API servers: nginx, or haproxy, which leaves out those that are not ready."""
    load_balancer_port: Port = 6443
    """Port of the API at the virtual address; must differ from `apiserver_port` if load balancers are masters."""
    vrrp_router_id: Annotated[int, Field(ge=1, le=255)] = 51
    """VRRP id of this pair of load balancers; another pair in the same network needs another."""
    vrrp_password: VrrpPassword | None = None
    """Password between the load balancers, of which VRRP reads 8 characters; by default a random one."""
    vrrp_nopreempt: bool = False
    """Do not move the virtual address back when the first load balancer returns."""

    # Nodes and network
    swap: PerMachine[Literal["off", "limited"]] = "off"
    """Swap of a node: off, or left as it is for pods (1.30 and newer, cgroup v2); may differ by group and machine."""
    bootstrap_tokens: Literal["static", "secret"] | None = None
    """Token with which a new node asks for its certificate: in token.csv, or in a Secret that ends (from 1.34 on)."""
    masters_schedulable: bool = False
    """Let ordinary pods run on masters that are nodes too; by default they carry the master's taint."""
    node_labels: PerMachine[Labels] = Field(default_factory=dict)
    """Labels of the node, such as `{"example.com/disk": "ssd"}`; may differ by group and machine."""
    node_taints: PerMachine[Taints] = Field(default_factory=list)
    """Taints of the node, such as `["example.com/gpu=yes:NoSchedule"]`; may differ by group and machine."""
    kubelet_extra_config: PerMachine[dict[str, JsonValue]] = Field(default_factory=dict)
    """Further fields of KubeletConfiguration; they override the deploy's own; may differ by group and machine."""
    kube_proxy_mode: Mode | None = None
    """How kube-proxy balances Services; by default ipvs up to 1.32, then on each node nftables if it can."""
    ipvs_scheduler: Literal["rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq"] = "rr"
    """How ipvs picks a backend: rr is round robin, lc is least connections."""
    kube_proxy_conntrack: dict[str, JsonValue] = Field(default_factory=dict)
    """Field `conntrack` of KubeProxyConfiguration."""
    kube_proxy_extra_config: PerMachine[dict[str, JsonValue]] = Field(default_factory=dict)
    """Further fields of KubeProxyConfiguration, merged with the deploy's own; may differ by group and machine."""
    flannel_backend: Literal["vxlan", "host-gw"] = "vxlan"
    """How pods of different nodes reach each other; host-gw needs all nodes in one layer-2 network."""
    flannel_port: Port = 8472
    """UDP port of flannel's vxlan, between the nodes; another one where something on the way takes 8472 for itself."""
    flannel_mtu: Annotated[int, Field(ge=576, le=65535)] | None = None
    """Size of flannel's vxlan packets between the nodes, in bytes; by default the MTU of the nodes' interface."""
    pause_image: ImageReference | None = None
    """Image of the pods' pause container; by default the one that goes with the release."""
    flannel_image: ImageReference | None = None
    """Image of flannel; by default the one that goes with the release."""
    flannel_cni_plugin_image: ImageReference | None = None
    """Image that brings flannel's CNI plugin; by default the one that goes with the release."""
    coredns_image: ImageReference | None = None
    """Image of CoreDNS; by default the one that goes with the release."""
    coredns_replicas: Annotated[int, Field(ge=1)] = 2
    """How many pods answer DNS questions."""
    metrics_server: bool | None = None
    """Run metrics-server, for `kubectl top` and HorizontalPodAutoscalers; by default from Kubernetes 1.24 on."""
    metrics_server_image: ImageReference | None = None
    """Image of metrics-server; by default the one that goes with the release."""
    dns_upstreams: list[DnsUpstream] = Field(default_factory=lambda: ["/etc/resolv.conf"])
    """Where CoreDNS asks for names outside the cluster: name servers, or a resolv.conf; empty: nowhere."""
    verify_traffic: Literal["sample", "all"] = "sample"
    """Which pods the traffic check lets reach each other: each a few others, on up to four nodes all; or always all."""
    verify_image: ImageReference | None = None
    """Image (agnhost) of the pods that check the traffic; by default the one that goes with the release."""


class MachineSettings(_Strict):
    """What `inventory.py` may say of one machine, besides pyinfra's own connection data."""

    address: Address | None = None
    """The machine's address in the cluster; by default `ssh_hostname`, or the name if that is an address."""
    hostname: HostName | None = None
    """Its host name; by default the name in the inventory."""


PER_MACHINE = tuple(
    name
    for name, field in Settings.model_fields.items()
    if any(isinstance(mark, _PerMachine) for mark in field.metadata)
)
"""Settings that may differ by group and machine."""

Model = TypeVar("Model", bound=BaseModel)


def read(model: type[Model], values: dict[str, Any], source: dict[str, str]) -> tuple[Model | None, list[str]]:
    """
    Values as written -> the validated model, or None and one sentence for each error.

    + source: key -> the file that it was written in ("group_data/all.py"), which the sentence names
    """
    known = model.model_fields
    problems = [_unknown(key, source.get(key, ""), known) for key in values if key not in known]
    try:
        return model.model_validate({key: values[key] for key in values if key in known}), problems
    except ValidationError as error:
        return None, problems + [_mistyped(entry, source) for entry in error.errors()]


# Names that settings had before -> their names now.
_RENAMED = {
    "authority_years": "ca_years",
    "docker_log_max_size": "container_log_max_size",
    "docker_log_max_files": "container_log_max_files",
}


def _unknown(key: str, where: str, known: dict[str, Any]) -> str:
    if key in _RENAMED:
        return f"{where}: {key} is now {_RENAMED[key]}; rename it"
    close = get_close_matches(key, known, n=1)
    hint = f"did you mean {close[0]}?" if close else "docs/settings.md lists every setting"
    return f"{where}: unknown setting {key}; {hint}"


def _mistyped(entry: Any, source: dict[str, str]) -> str:
    name = str(entry["loc"][0])
    inner = "".join(f"[{part!r}]" for part in entry["loc"][1:] if str(part)[:1] != "[")  # "[key]", tags: no key
    reason = entry["msg"].removeprefix("Value error, ")
    return f"{source.get(name, '')}: {name}{inner} is {shown(name, entry['input'])}: {reason[0].lower()}{reason[1:]}"


def shown(name: str, value: object) -> str:
    """A setting's value as a message may have it, without passwords."""
    is_secret = "password" in name or name == "runtime_proxy"
    return "(secret)" if is_secret else re.sub(r"://[^/@]*@", "://(secret)@", repr(value))
