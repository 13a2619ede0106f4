"""Checks that need more than one setting or machine. Each is a function; all run, and all errors are reported."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Address

from kubeinfra.cluster import runtimes
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.cluster.known_names import release_knows_the_names
from kubeinfra.cluster.settings import MachineSettings, Mode, read

Check = Callable[[Cluster, Callable[[str], str]], Iterable[str]]


def problems(cluster: Cluster, source: Mapping[str, str], further: Iterable[Check] = ()) -> list[str]:
    """
    One sentence for each error in the inventory and the settings.

    + source: setting -> the file that it was written in; + further: checks in addition to CHECKS
    """

    def where(setting: str) -> str:
        return source.get(setting, "default")

    return [problem for check in (*CHECKS, *further) for problem in check(cluster, where)]


def warnings(cluster: Cluster) -> list[str]:
    """One sentence for each thing that works, but is less available than it looks."""
    found = []
    members = len(cluster.etcd_machines)
    if members % 2 == 0:
        found.append(
            f"inventory: group etcd has {members} members; an even number survives no more losses than "
            f"{members - 1}, and is more to keep: use 1, 3 or 5"
        )
    if len(cluster.load_balancers) == 1:
        found.append(
            f"inventory: group lb has one machine, {cluster.load_balancers[0].name}; the API is away with it: use two"
        )
    return found


def groups_are_filled(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    for group in ("master", "node", "etcd"):
        if not cluster.group(group):
            yield f"inventory: group {group} is empty; it needs at least one machine"


def names_and_addresses_are_unique(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    by_address: dict[IPv4Address, list[str]] = defaultdict(list)
    for machine in cluster.machines:
        by_address[machine.address].append(machine.name)
    for address, names in by_address.items():
        if len(names) > 1:
            yield f"inventory: {' and '.join(names)} have the same address {address}; each machine needs its own"
    for hostname, count in Counter(machine.hostname for machine in cluster.machines).items():
        if count > 1:
            yield f"inventory: {count} machines have the host name {hostname}; each needs its own"


def host_names_are_valid(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    """A host name that is taken from the inventory's name has not been checked before."""
    for machine in cluster.machines:
        _, wrong = read(MachineSettings, {"hostname": machine.hostname}, {"hostname": f"inventory: {machine.name}"})
        yield from wrong


def networks_do_not_overlap(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    service, pods = cluster.settings.service_cidr, cluster.settings.cluster_cidr
    if service.overlaps(pods):
        yield (
            f"{where('service_cidr')}: service_cidr {service} overlaps cluster_cidr {pods}; "
            "choose networks that share no address, such as 10.0.0.0/24 and 10.244.0.0/16"
        )
    for name, network in (("service_cidr", service), ("cluster_cidr", pods)):
        inside = [machine for machine in cluster.machines if machine.address in network]
        if inside:
            yield f"{where(name)}: {name} {network} holds {with_addresses(inside)}; choose a network without machines"


def service_network_has_a_fitting_size(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    """kube-apiserver keeps a bit for each address, and refuses to start with more than 2^20 of them."""
    service = cluster.settings.service_cidr
    if service.num_addresses < 4:
        yield f"{where('service_cidr')}: service_cidr {service} is too small; use /24 or larger"
    elif service.prefixlen < 12:
        yield (
            f"{where('service_cidr')}: service_cidr {service} is larger than kube-apiserver takes; use /12 or smaller, "
            f"such as {service.network_address}/24"
        )


def dns_address_is_a_service(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    service, dns = cluster.settings.service_cidr, cluster.settings.dns_address
    if service.num_addresses < 4:
        return
    setting = f"{where('dns_address')}: dns_address {dns}"
    if dns not in service:
        yield f"{setting} is not in service_cidr {service}; take one such as {service[2]}"
    elif dns in (service[0], service[-1]):
        yield f"{setting} is an end of service_cidr {service}, which no Service gets; take one such as {service[2]}"
    elif dns == cluster.apiserver_service_address:
        yield f"{setting} is that of the API server's own Service; take one such as {service[2]}"


def pods_network_holds_the_nodes(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    network, mask = cluster.settings.cluster_cidr, cluster.settings.node_cidr_mask
    pieces = 2 ** (mask - network.prefixlen) if mask >= network.prefixlen else 0
    if pieces < len(cluster.nodes):
        yield (
            f"{where('cluster_cidr')}: cluster_cidr {network} has {pieces} pieces of /{mask} for {len(cluster.nodes)} "
            "nodes; use a larger network or a larger node_cidr_mask"
        )


def clients_have_one_endpoint(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    endpoint = cluster.settings.control_plane_endpoint
    if endpoint is None and len(cluster.masters) > 1 and not cluster.load_balancers:
        yield (
            f"inventory: group master has {len(cluster.masters)} machines and clients need one endpoint; fill group "
            'lb and set virtual_ip, or set control_plane_endpoint = "address:port" in group_data/all.py to what '
            "balances between them"
        )
    if cluster.load_balancers and cluster.settings.virtual_ip is None:
        yield (
            f"inventory: group lb has {with_addresses(cluster.load_balancers)}, but virtual_ip is not set; set it in "
            "group_data/lb.py to a free address of their subnet, such as 192.168.80.100"
        )


def virtual_ip_is_free(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    """Whether it is in the machines' subnet and unused is checked on the machines (tasks/load_balancer.py)."""
    virtual_ip = cluster.settings.virtual_ip
    if virtual_ip is None:
        return
    holders = [machine for machine in cluster.machines if machine.address == virtual_ip]
    if holders:
        yield f"{where('virtual_ip')}: virtual_ip {virtual_ip} is the address of {holders[0].name}; take a free one"
    for name, network in (
        ("service_cidr", cluster.settings.service_cidr),
        ("cluster_cidr", cluster.settings.cluster_cidr),
    ):
        if virtual_ip in network:
            yield f"{where('virtual_ip')}: virtual_ip {virtual_ip} is in {name} {network}; take a free one"


def node_ports_are_a_range(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    settings = cluster.settings
    first, last = (int(port) for port in settings.node_port_range.split("-"))
    setting = f"{where('node_port_range')}: node_port_range {first}-{last}"
    if not 1 <= first <= last <= 65535:
        yield f"{setting} does not go up within 1-65535; use one such as 30000-32767"
        return
    if first <= settings.apiserver_port <= last:
        yield f"{setting} holds apiserver_port {settings.apiserver_port}; take a range without it, such as 30000-32767"
    both = [machine for machine in cluster.load_balancers if "node" in machine.groups]
    if both and first <= settings.load_balancer_port <= last:
        yield (
            f"{where('load_balancer_port')}: load_balancer_port {settings.load_balancer_port} is within "
            f"node_port_range {first}-{last} on {with_addresses(both)}, where lb and node are the same machine; "
            "take another, such as 8443"
        )


def health_is_asked_without_a_certificate(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    value = cluster.settings.apiserver_extra_args.get("anonymous-auth", "true")
    if value.lower() in ("0", "f", "false"):
        yield (
            f"{where('apiserver_extra_args')}: apiserver_extra_args['anonymous-auth'] is {value!r}: load balancers, "
            "keepalived and the other masters ask /readyz without a certificate, and would get 401; take it out: "
            "RBAC lets anonymous users see no more than health and version"
        )


def kube_proxy_mode_has_its_own_setting(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    """Kernel modules, and what is cleaned when the mode changes, depend on it; health is asked at the usual ports."""
    extras = [one.kube_proxy_extra_config for one in (cluster.settings, *cluster.own_settings.values())]
    wrong = {"mode": "kube_proxy_mode"} if any("mode" in one for one in extras) else {}
    if any(isinstance(ipvs := one.get("ipvs"), dict) and "scheduler" in ipvs for one in extras):
        wrong["ipvs.scheduler"] = "ipvs_scheduler"
    for field in ("metricsBindAddress", "healthzBindAddress"):
        if any(field in one for one in extras):
            yield (
                f"{where('kube_proxy_extra_config')}: kube_proxy_extra_config has the field {field}, and kube-proxy is "
                "asked for its health and mode at the usual ports; take it out"
            )
    for field, setting in wrong.items():
        yield (
            f"{where('kube_proxy_extra_config')}: kube_proxy_extra_config has the field {field}, on which more than "
            f"kube-proxy's file depends; use the setting {setting}"
        )


def kube_proxy_sets_its_sysctls(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    """
    What kube-proxy sets whenever it starts; it and the deploy would undo each other's values, run by run.

    Source: NewProxier in pkg/proxy/ipvs/proxier.go, the same from 1.20 to 1.37.
    """
    # Without the setting a node has mode ipvs up to 1.32, and from 1.33 on only where it cannot have nftables.
    of_itself: Mode = "ipvs" if cluster.release.minor <= (1, 32) else "nftables"
    if (cluster.settings.kube_proxy_mode or of_itself) != "ipvs":
        return
    its = {"net.ipv4.ip_forward": 1, "net.ipv4.vs.conntrack": 1}
    arp = {"net.ipv4.conf.all.arp_ignore": 1, "net.ipv4.conf.all.arp_announce": 2}
    extras = [cluster.settings_of(node).kube_proxy_extra_config.get("ipvs", {}) for node in cluster.nodes]
    if any(isinstance(one, dict) and one.get("strictARP", True) for one in extras):
        its |= arp
    for key, value in cluster.settings.extra_sysctls.items():
        if key in its and str(value) != str(its[key]):
            without = ", or set kube_proxy_extra_config = {'ipvs': {'strictARP': False}}" if key in arp else ""
            yield (
                f"{where('extra_sysctls')}: extra_sysctls['{key}'] is {value}, and kube-proxy in ipvs mode sets it to "
                f"{its[key]} whenever it starts; take it out{without}"
            )


def vxlans_settings_need_vxlan(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    """With host-gw pods' packets are routed as they are: no port, and the MTU of the nodes' interface."""
    if cluster.settings.flannel_backend == "vxlan":
        return
    for setting in ("flannel_port", "flannel_mtu"):
        value, default = getattr(cluster.settings, setting), type(cluster.settings).model_fields[setting].default
        if value != default:
            yield (
                f"{where(setting)}: {setting} is {value}, and flannel_backend {cluster.settings.flannel_backend} has "
                "none; take it out, or set flannel_backend to vxlan"
            )


def etcd_goes_with_the_release(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    release, version = cluster.release, cluster.etcd_version
    first, (major, below) = release.etcd_from, release.etcd_below
    if not first <= tuple(map(int, version.split(".")[:2])) < release.etcd_below:
        yield (
            f"{where('etcd_version')}: etcd_version is {version}, and Kubernetes {release.kubernetes} needs etcd "
            f"{'.'.join(map(str, first))} to {major}.{below - 1}; take one of these, or leave it out"
        )


def with_addresses(machines: Iterable[Machine]) -> str:
    """Such as "m1 (192.168.80.10), n1 (192.168.80.11)"."""
    return ", ".join(f"{machine.name} ({machine.address})" for machine in machines)


CHECKS: tuple[Check, ...] = (
    groups_are_filled,
    names_and_addresses_are_unique,
    host_names_are_valid,
    release_knows_the_names,
    networks_do_not_overlap,
    service_network_has_a_fitting_size,
    dns_address_is_a_service,
    pods_network_holds_the_nodes,
    clients_have_one_endpoint,
    virtual_ip_is_free,
    node_ports_are_a_range,
    health_is_asked_without_a_certificate,
    kube_proxy_mode_has_its_own_setting,
    kube_proxy_sets_its_sysctls,
    vxlans_settings_need_vxlan,
    *runtimes.CHECKS,
    etcd_goes_with_the_release,
)
