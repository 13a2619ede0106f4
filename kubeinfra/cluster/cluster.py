"""The typed picture of one cluster: its machines, its settings and what follows from both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address
from typing import Literal

from kubeinfra.cluster.settings import Settings
from kubeinfra.cluster.types import is_ipv4
from kubeinfra.releases import catalogue as releases

GROUPS = ("master", "node", "etcd", "lb")
ETCD_CLIENT_PORT = 2379
ETCD_PEER_PORT = 2380


@dataclass(frozen=True)
class Machine:
    """One machine of the inventory. `name`: its name in the inventory; `hostname`: its own host name."""

    name: str
    hostname: str
    address: IPv4Address
    groups: frozenset[str]

    @property
    def node_name(self) -> str:
        """Name of its Node object: the address, as in the guide."""
        return str(self.address)

    @property
    def etcd_client_url(self) -> str:
        """Its client URL as an etcd member."""
        return f"https://{self.address}:{ETCD_CLIENT_PORT}"

    @property
    def etcd_peer_url(self) -> str:
        """Its peer URL as an etcd member."""
        return f"https://{self.address}:{ETCD_PEER_PORT}"


@dataclass(frozen=True)
class Cluster:
    """Everything the tasks ask about the cluster as a whole; made by `kubeinfra/cluster/build.py`, which checks it."""

    machines: tuple[Machine, ...]
    settings: Settings
    """Settings of the whole cluster; for settings that may differ by machine use `settings_of`."""
    own_settings: Mapping[str, Settings] = field(default_factory=dict)
    """Machine name -> its settings, for machines that have settings of their own."""

    def settings_of(self, machine: Machine) -> Settings:
        """The cluster's settings, merged with those of the machine's groups and the machine itself (`PER_MACHINE`)."""
        return self.own_settings.get(machine.name, self.settings)

    def group(self, name: str) -> tuple[Machine, ...]:
        return tuple(machine for machine in self.machines if name in machine.groups)

    @cached_property
    def masters(self) -> tuple[Machine, ...]:
        return self.group("master")

    @cached_property
    def nodes(self) -> tuple[Machine, ...]:
        return self.group("node")

    @cached_property
    def load_balancers(self) -> tuple[Machine, ...]:
        return self.group("lb")

    @cached_property
    def etcd_machines(self) -> tuple[Machine, ...]:
        return self.group("etcd")

    def machine(self, name: str) -> Machine:
        """The machine of this inventory name; a KeyError is an error in the code, not in the inventory."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Machine]:
        return {machine.name: machine for machine in self.machines}

    @cached_property
    def hosts_lines(self) -> str:
        """A line of /etc/hosts for each machine; every machine gets them all."""
        return "".join(f"{machine.address} {machine.hostname}\n" for machine in self.machines)

    @property
    def max_unavailable(self) -> int:
        """
        Number of nodes on which a run may restart container runtime or kubelet at the same time, at least 1.

        A percentage is rounded up, as a DaemonSet's `maxUnavailable` is (kubernetes.io, DaemonSet API reference).
        """
        value = str(self.settings.max_unavailable)
        percentage = value.removesuffix("%")
        return -(-int(percentage) * len(self.nodes) // 100) or 1 if percentage != value else int(value)

    @cached_property
    def release(self) -> releases.Release:
        return releases.release(self.settings.kubernetes_version)

    @property
    def etcd_version(self) -> str:
        return self.settings.etcd_version or self.release.etcd

    @property
    def container_runtime(self) -> str:
        """ "docker" or "containerd"."""
        return self.settings.container_runtime or self.release.container_runtime

    @property
    def containerd_version(self) -> str:
        return self.settings.containerd_version or self.release.containerd

    @property
    def pause_image(self) -> str:
        return self.settings.pause_image or self.release.pause_image

    @property
    def flannel_image(self) -> str:
        return self.settings.flannel_image or self.release.flannel_image

    @property
    def flannel_cni_plugin_image(self) -> str:
        return self.settings.flannel_cni_plugin_image or self.release.flannel_cni_plugin_image

    @property
    def coredns_image(self) -> str:
        return self.settings.coredns_image or self.release.coredns_image

    @property
    def bootstrap_tokens(self) -> Literal["static", "secret"]:
        """How a new node asks for its certificate; the guide, for releases of its time, has a token that never ends."""
        return self.settings.bootstrap_tokens or ("secret" if self.release.minor >= (1, 34) else "static")

    @property
    def metrics_server(self) -> bool:
        """Whether it is an add-on here: up to 1.23 the cluster is the guide's, which has none."""
        wanted = self.settings.metrics_server
        return self.release.minor >= (1, 24) if wanted is None else wanted

    @property
    def metrics_server_image(self) -> str:
        return self.settings.metrics_server_image or self.release.metrics_server_image

    @property
    def verify_image(self) -> str:
        return self.settings.verify_image or self.release.verify_image

    @property
    def endpoint(self) -> str:
        """
        `address:port` that kubelets, kube-proxies and users connect to.

        The setting control_plane_endpoint; else the virtual address if there are load balancers; else the only
        master. Several masters without either of them are an error (`clients_have_one_endpoint`).
        """
        if self.settings.control_plane_endpoint:
            return self.settings.control_plane_endpoint
        if self.load_balancers and self.settings.virtual_ip:
            return f"{self.settings.virtual_ip}:{self.settings.load_balancer_port}"
        return self.apiserver(self.masters[0])

    @property
    def server(self) -> str:
        return f"https://{self.endpoint}"

    def apiserver(self, master: Machine) -> str:
        return f"{master.address}:{self.settings.apiserver_port}"

    @property
    def etcd_servers(self) -> str:
        return ",".join(machine.etcd_client_url for machine in self.etcd_machines)

    @property
    def apiserver_service_address(self) -> IPv4Address:
        """Address of Service `kubernetes`: the first of the service network; the API server fixes it."""
        return self.settings.service_cidr[1]

    @property
    def apiserver_names(self) -> tuple[str, ...]:
        """Every DNS name under which a client may connect to an API server."""
        domain = self.settings.cluster_domain
        service = (
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{domain}",
        )
        own = tuple(master.hostname for master in self.masters)
        return (
            "localhost",
            *service,
            *own,
            *([] if is_ipv4(self._endpoint_host) else [self._endpoint_host]),
        )

    @property
    def apiserver_addresses(self) -> tuple[IPv4Address, ...]:
        """Every address under which a client may connect to an API server."""
        own = [IPv4Address("127.0.0.1"), self.apiserver_service_address, *(m.address for m in self.masters)]
        virtual = [self.settings.virtual_ip] if self.load_balancers and self.settings.virtual_ip else []
        endpoint = [IPv4Address(self._endpoint_host)] if is_ipv4(self._endpoint_host) else []
        return tuple(dict.fromkeys([*own, *virtual, *endpoint]))

    @property
    def _endpoint_host(self) -> str:
        return self.endpoint.rpartition(":")[0]
