"""What cannot work is reported before anything is changed: each error in one exact sentence, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from cluster_samples import ALL, GUIDE, ONE, THREE, TWO_MASTERS, VIRTUAL_IP, entry, problems

from kubeinfra.checks.ports import ports_do_not_collide
from kubeinfra.cluster.build import InventoryEntry, build
from kubeinfra.cluster.consistency import CHECKS

LONG_NAME = f"n3.{'a' * 61}"
Row = tuple[str, Sequence[InventoryEntry], dict[str, Any], str]

SOUND: list[tuple[str, Sequence[InventoryEntry], dict[str, Any]]] = [
    ("one machine for all", ONE, {}),
    ("one master", THREE, {}),
    ("the guide's machines", GUIDE, {"virtual_ip": VIRTUAL_IP}),
    ("a load balancer of others", TWO_MASTERS, {"control_plane_endpoint": "k8s.example.com:443"}),
    (
        "an endpoint with a long name",
        TWO_MASTERS,
        {"control_plane_endpoint": f"{'k8s.' * 20}example.com:443"},
    ),
    ("anonymous users, said outright", THREE, {"apiserver_extra_args": {"anonymous-auth": "true"}}),
    (
        "load balancers that are no nodes, among node ports",
        GUIDE,
        {"virtual_ip": VIRTUAL_IP, "load_balancer_port": 31000},
    ),
    (
        "flannel and kube-proxy set otherwise",
        THREE,
        {
            "flannel_port": 8473,
            "flannel_mtu": 1400,
            "kube_proxy_extra_config": {"ipvs": {"strictARP": False}, "nodePortAddresses": ["192.168.80.0/24"]},
            "extra_sysctls": {"net.ipv4.conf.all.arp_ignore": 0, "net.ipv4.vs.conntrack": "1"},
        },
    ),
    ("sysctls of another mode", THREE, {"kube_proxy_mode": "iptables", "extra_sysctls": {"net.ipv4.vs.conntrack": 0}}),
    ("larger networks", THREE, {"service_cidr": "10.96.0.0/12", "dns_address": "10.96.0.10"}),
    (
        "load balancers on the masters",
        [entry(f"m{n}", f"192.168.80.1{n}", "master node etcd lb") for n in (1, 2, 3)],
        {"virtual_ip": VIRTUAL_IP, "load_balancer_port": 8443},
    ),
]

LAX = {"ipvs": {"strictARP": False}}
STRICT = entry("n3", "192.168.80.15", "node", kube_proxy_extra_config={"ipvs": {"strictARP": True}})
NOT_STRICT = ", or set kube_proxy_extra_config = {'ipvs': {'strictARP': False}}"
ERRORS: list[Row] = [
    (
        "no machines",
        [],
        {},
        "inventory: group master is empty; it needs at least one machine",
    ),
    (
        "no etcd",
        [entry("m1", "192.168.80.10", "master node")],
        {},
        "inventory: group etcd is empty; it needs at least one machine",
    ),
    (
        "an address twice",
        [*THREE, entry("n3", "192.168.80.12", "node")],
        {},
        "inventory: n2 and n3 have the same address 192.168.80.12; each machine needs its own",
    ),
    (
        "a host name twice",
        [*THREE, entry("n3", "192.168.80.13", "node", hostname="n2")],
        {},
        "inventory: 2 machines have the host name n2; each needs its own",
    ),
    (
        "a name that is no host name",
        [*THREE, entry("Node_3", "192.168.80.13", "node")],
        {},
        "inventory: Node_3: hostname is 'Node_3': use lower-case letters, digits and '-', at most 63, "
        "with a letter or digit at both ends",
    ),
    (
        "a host name of more than a kernel keeps",
        [*THREE, entry(LONG_NAME, "192.168.80.13", "node")],
        {},
        f"inventory: {LONG_NAME}: hostname is '{LONG_NAME}': it has 64 characters; use at most 63, dots included",
    ),
    (
        "a release that is not supported",
        THREE,
        {"kubernetes_version": "1.19.16"},
        f"{ALL}: kubernetes_version is '1.19.16': it is older than what this checkout knows, 1.20 to 1.37; "
        "the nearest is '1.20.15'",
    ),
    (
        "a release with a v",
        THREE,
        {"kubernetes_version": "v1.20.15"},
        f"{ALL}: kubernetes_version is 'v1.20.15': write the three numbers alone: '1.20.15'",
    ),
    (
        "a flag that the release does not have yet",
        THREE,
        {"apiserver_extra_args": {"authorization-config": "/etc/a.yaml"}},
        f"{ALL}: apiserver_extra_args has the flag authorization-config, which kube-apiserver of 1.20.15 does not know "
        "(known from 1.29 on); take it out",
    ),
    (
        "overlapping networks",
        THREE,
        {"service_cidr": "10.244.8.0/24", "dns_address": "10.244.8.2"},
        f"{ALL}: service_cidr 10.244.8.0/24 overlaps cluster_cidr 10.244.0.0/16; "
        "choose networks that share no address, such as 10.0.0.0/24 and 10.244.0.0/16",
    ),
    (
        "machines in the network of pods",
        THREE,
        {"cluster_cidr": "192.168.0.0/16"},
        f"{ALL}: cluster_cidr 192.168.0.0/16 holds m1 (192.168.80.10), n1 (192.168.80.11), n2 (192.168.80.12); "
        "choose a network without machines",
    ),
    (
        "a machine in the network of Services",
        [*THREE, entry("n3", "10.0.0.77", "node")],
        {},
        "default: service_cidr 10.0.0.0/24 holds n3 (10.0.0.77); choose a network without machines",
    ),
    (
        "a tiny network of Services",
        THREE,
        {"service_cidr": "10.0.0.0/31"},
        f"{ALL}: service_cidr 10.0.0.0/31 is too small; use /24 or larger",
    ),
    (
        "a network of Services that the API server refuses",
        THREE,
        {"service_cidr": "10.32.0.0/11", "dns_address": "10.32.0.2"},
        f"{ALL}: service_cidr 10.32.0.0/11 is larger than kube-apiserver takes; use /12 or smaller, "
        "such as 10.32.0.0/24",
    ),
    (
        "DNS outside the Services",
        THREE,
        {"service_cidr": "10.96.0.0/16"},
        "default: dns_address 10.0.0.2 is not in service_cidr 10.96.0.0/16; take one such as 10.96.0.2",
    ),
    (
        "DNS at the API server's Service",
        THREE,
        {"dns_address": "10.0.0.1"},
        f"{ALL}: dns_address 10.0.0.1 is that of the API server's own Service; take one such as 10.0.0.2",
    ),
    *(
        (
            f"DNS at {address}",
            THREE,
            {"dns_address": address},
            f"{ALL}: dns_address {address} is an end of service_cidr 10.0.0.0/24, which no Service gets; "
            "take one such as 10.0.0.2",
        )
        for address in ("10.0.0.0", "10.0.0.255")
    ),
    (
        "more nodes than pieces",
        THREE,
        {"cluster_cidr": "10.244.0.0/24"},
        f"{ALL}: cluster_cidr 10.244.0.0/24 has 1 pieces of /24 for 2 nodes; "
        "use a larger network or a larger node_cidr_mask",
    ),
    (
        "pieces larger than the network",
        THREE,
        {"cluster_cidr": "10.244.0.0/24", "node_cidr_mask": 16},
        f"{ALL}: cluster_cidr 10.244.0.0/24 has 0 pieces of /16 for 2 nodes; "
        "use a larger network or a larger node_cidr_mask",
    ),
    (
        "two masters and no endpoint",
        TWO_MASTERS,
        {},
        "inventory: group master has 2 machines and clients need one endpoint; fill group lb and set virtual_ip, or "
        'set control_plane_endpoint = "address:port" in group_data/all.py to what balances between them',
    ),
    (
        "load balancers without an address",
        GUIDE,
        {},
        "inventory: group lb has lb1 (192.168.80.13), lb2 (192.168.80.14), but virtual_ip is not set; set it in "
        "group_data/lb.py to a free address of their subnet, such as 192.168.80.100",
    ),
    (
        "a virtual address of a machine",
        GUIDE,
        {"virtual_ip": "192.168.80.10"},
        f"{ALL}: virtual_ip 192.168.80.10 is the address of m1; take a free one",
    ),
    (
        "a virtual address among the pods",
        GUIDE,
        {"virtual_ip": "10.244.1.1"},
        f"{ALL}: virtual_ip 10.244.1.1 is in cluster_cidr 10.244.0.0/16; take a free one",
    ),
    (
        "load balancers on the masters, at the API server's port",
        [entry("m1", "192.168.80.10", "master node etcd lb"), entry("lb2", "192.168.80.14", "lb")],
        {"virtual_ip": VIRTUAL_IP},
        "default: load_balancer_port 6443 is the port of the API server on m1 (192.168.80.10), "
        "where lb and master are the same machine; take another, such as 8443",
    ),
    (
        "load balancers on etcd members, at etcd's port",
        [*THREE, entry("lb1", "192.168.80.13", "lb etcd")],
        {"virtual_ip": VIRTUAL_IP, "load_balancer_port": 2379},
        f"{ALL}: load_balancer_port 2379 is the port of etcd on lb1 (192.168.80.13), "
        "where lb and etcd are the same machine; take another, such as 8443",
    ),
    (
        "load balancers on etcd members, at the port of etcd's metrics",
        [*THREE, entry("lb1", "192.168.80.13", "lb etcd")],
        {"virtual_ip": VIRTUAL_IP, "load_balancer_port": 2381},
        f"{ALL}: load_balancer_port 2381 is the port of etcd's metrics on lb1 (192.168.80.13), "
        "where lb and etcd are the same machine; take another, such as 8443",
    ),
    (
        "load balancers on nodes, at flannel's port",
        [*THREE, entry("lb1", "192.168.80.13", "lb node")],
        {"virtual_ip": VIRTUAL_IP, "load_balancer_port": 8081},
        f"{ALL}: load_balancer_port 8081 is the port of flannel on lb1 (192.168.80.13), "
        "where lb and node are the same machine; take another, such as 8443",
    ),
    (
        "an API server at the kubelet's port",
        [entry("m1", "192.168.80.10", "master node etcd")],
        {"apiserver_port": 10250},
        f"{ALL}: apiserver_port 10250 is the port of kubelet on m1 (192.168.80.10), "
        "where master and node are the same machine; take another, such as 8443",
    ),
    (
        "node ports the wrong way round",
        THREE,
        {"node_port_range": "32767-30000"},
        f"{ALL}: node_port_range 32767-30000 does not go up within 1-65535; use one such as 30000-32767",
    ),
    (
        "node ports over the API server's",
        THREE,
        {"node_port_range": "6000-7000"},
        f"{ALL}: node_port_range 6000-7000 holds apiserver_port 6443; take a range without it, such as 30000-32767",
    ),
    (
        "load balancers on nodes, among node ports",
        [*THREE, entry("lb1", "192.168.80.13", "lb node")],
        {"virtual_ip": VIRTUAL_IP, "load_balancer_port": 31000},
        f"{ALL}: load_balancer_port 31000 is within node_port_range 30000-32767 on lb1 (192.168.80.13), "
        "where lb and node are the same machine; take another, such as 8443",
    ),
    *(
        (
            f"no anonymous users, as {said}",
            THREE,
            {"apiserver_extra_args": {"anonymous-auth": said}},
            f"{ALL}: apiserver_extra_args['anonymous-auth'] is {said!r}: load balancers, keepalived and the other "
            "masters ask /readyz without a certificate, and would get 401; take it out: RBAC lets anonymous users see "
            "no more than health and version",
        )
        for said in ("false", "False", "0")
    ),
    *(
        (
            f"kube-proxy's {field} past its setting",
            THREE,
            {"kube_proxy_extra_config": extra},
            f"{ALL}: kube_proxy_extra_config has the field {field}, on which more than kube-proxy's file depends; use "
            f"the setting {setting}",
        )
        for field, setting, extra in (
            ("mode", "kube_proxy_mode", {"mode": "iptables"}),
            ("ipvs.scheduler", "ipvs_scheduler", {"ipvs": {"scheduler": "lc", "minSyncPeriod": "1s"}}),
        )
    ),
    *(
        (
            f"kube-proxy's {field}, where it is asked",
            THREE,
            {"kube_proxy_extra_config": {field: "127.0.0.1:11249"}},
            f"{ALL}: kube_proxy_extra_config has the field {field}, and kube-proxy is asked for its health and mode at "
            "the usual ports; take it out",
        )
        for field in ("metricsBindAddress", "healthzBindAddress")
    ),
    *(
        (
            f"{key}, which kube-proxy sets",
            entries,
            {"extra_sysctls": {key: value}, **more},
            f"{ALL}: extra_sysctls['{key}'] is {value}, and kube-proxy in ipvs mode sets it to {its} whenever it "
            f"starts; take it out{without}",
        )
        for key, value, its, entries, more, without in (
            ("net.ipv4.ip_forward", "0", 1, THREE, {}, ""),
            ("net.ipv4.conf.all.arp_ignore", 0, 1, THREE, {}, NOT_STRICT),
            ("net.ipv4.conf.all.arp_announce", "1", 2, [*THREE, STRICT], {"kube_proxy_extra_config": LAX}, NOT_STRICT),
        )
    ),
    *(
        (
            f"{setting} without vxlan",
            THREE,
            {setting: value, "flannel_backend": "host-gw"},
            f"{ALL}: {setting} is {value}, and flannel_backend host-gw has none; take it out, or set flannel_backend "
            "to vxlan",
        )
        for setting, value in (("flannel_port", 8473), ("flannel_mtu", 1400))
    ),
    *(
        (
            f"etcd {version} with Kubernetes {kubernetes}",
            THREE,
            {"kubernetes_version": kubernetes, "etcd_version": version},
            f"{ALL}: etcd_version is {version}, and Kubernetes {kubernetes} needs etcd {range_}; take one of these, or "
            "leave it out",
        )
        for kubernetes, version, range_ in (("1.37.2", "3.4.26", "3.5 to 3.7"), ("1.20.15", "3.6.16", "3.4 to 3.5"))
    ),
    (
        "a machine that has IPv6 only",
        [*THREE, entry("n3", "fd00::13", "node")],
        {},
        "inventory: n3: fd00::13 is IPv6, and the cluster uses IPv4; add the machine's own, such as "
        '"address": "192.168.80.10"',
    ),
    (
        "a Docker that the kubelet cannot speak to",
        THREE,
        {"kubernetes_version": "1.20.15", "docker_version": "29"},
        f"{ALL}: docker_version is '29', and Kubernetes 1.20.15 needs one below 29; take it out, and one that fits "
        "comes",
    ),
    (
        "Docker where the kubelet cannot use it",
        THREE,
        {"kubernetes_version": "1.24.17", "container_runtime": "docker"},
        f"{ALL}: container_runtime is 'docker', which Kubernetes 1.24.17 cannot use, as 1.23 was the last that could; "
        "take it out, and containerd runs the containers",
    ),
    (
        "a containerd that the kubelet cannot speak to",
        THREE,
        {"kubernetes_version": "1.22.17", "container_runtime": "containerd", "containerd_version": "2.0.0"},
        f"{ALL}: containerd_version is '2.0.0', and Kubernetes 1.22.17 goes with 1.4 to below 2.0; take it out, and "
        "1.7.35 is installed",
    ),
    (
        "keys of the other runtime",
        THREE,
        {"kubernetes_version": "1.24.17", "docker_extra_config": {"data-root": "/data"}},
        f"{ALL}: docker_extra_config is set, and the container runtime is containerd; say what you want of it in "
        "containerd_extra_config, and take it out",
    ),
    (
        "fewer log files than a kubelet keeps",
        THREE,
        {"kubernetes_version": "1.24.17", "container_log_max_files": 1},
        f"{ALL}: container_log_max_files is 1, and with containerd the kubelet rotates logs, which needs 2; use 2 or "
        "more",
    ),
    (
        "a name with a line break",
        [*THREE, entry("n3\n", "192.168.80.13", "node", hostname="n3")],
        {},
        "inventory: 'n3\\n' has a control character in its name; take that out",
    ),
]


@pytest.mark.parametrize(("entries", "values"), [row[1:] for row in SOUND], ids=[row[0] for row in SOUND])
def test_nothing_is_wrong_with(entries: Sequence[InventoryEntry], values: dict[str, Any]) -> None:
    assert problems(entries, **values) == ()


@pytest.mark.parametrize(("entries", "values", "sentence"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_what_cannot_work_is_reported(entries: Sequence[InventoryEntry], values: dict[str, Any], sentence: str) -> None:
    told = problems(entries, **values)
    assert sentence in told
    assert len(told) == (3 if not entries else 1), f"one error, reported once and without others: {told}"


def test_every_check_has_its_rows() -> None:
    """A check without an input that fails it is not known to work."""
    everything = "\n".join(row[3] for row in ERRORS)
    words = {
        "groups_are_filled": "is empty",
        "names_and_addresses_are_unique": "have the same address",
        "host_names_are_valid": "hostname is",
        "release_knows_the_names": "does not know",
        "networks_do_not_overlap": "overlaps",
        "service_network_has_a_fitting_size": "is larger than",
        "dns_address_is_a_service": "is not in service_cidr",
        "pods_network_holds_the_nodes": "pieces",
        "clients_have_one_endpoint": "one endpoint",
        "virtual_ip_is_free": "take a free one",
        "node_ports_are_a_range": "node_port_range",
        "health_is_asked_without_a_certificate": "anonymous-auth",
        "kube_proxy_mode_has_its_own_setting": "kube_proxy_extra_config",
        "kube_proxy_sets_its_sysctls": "whenever it starts",
        "vxlans_settings_need_vxlan": "and flannel_backend host-gw has none",
        "runtime_goes_with_the_release": "cannot use",
        "docker_goes_with_the_release": "docker_version is",
        "containerd_goes_with_the_release": "containerd_version is",
        "settings_are_of_the_runtime": "docker_extra_config is set",
        "kubelets_can_rotate_logs": "container_log_max_files is 1",
        "etcd_goes_with_the_release": "needs etcd",
        "ports_do_not_collide": "is the port of",  # kubeinfra/checks/ports.py
    }
    assert [check.__name__ for check in (*CHECKS, ports_do_not_collide)] == list(words)
    assert [name for name, word in words.items() if word not in everything] == []


def test_all_errors_are_reported_at_once_even_if_a_setting_cannot_be_read() -> None:
    entries = [*THREE, entry("n3", "192.168.80.12", "node")]
    told = problems(entries, apiserver_port="x", colour="blue", service_cidr="10.244.0.0/24", dns_address="10.244.0.2")
    assert [sentence.split(";")[0] for sentence in told] == [
        f"{ALL}: unknown setting colour",
        f"{ALL}: apiserver_port is 'x': input should be a valid integer, unable to parse string as an integer",
        "inventory: n2 and n3 have the same address 192.168.80.12",
        f"{ALL}: service_cidr 10.244.0.0/24 overlaps cluster_cidr 10.244.0.0/16",
    ]


def warnings(*entries: InventoryEntry, **values: Any) -> list[str]:
    return build(entries, values, {})[1]


@pytest.mark.parametrize("members", [2, 4])
def test_an_even_number_of_members_is_a_warning(members: int) -> None:
    machines = [entry(f"m{number}", f"192.168.80.{number}", "node etcd") for number in range(1, members + 1)]
    assert warnings(entry("m0", "192.168.80.99", "master"), *machines) == [
        f"inventory: group etcd has {members} members; an even number survives no more losses than {members - 1}, "
        "and is more to keep: use 1, 3 or 5"
    ]


def test_a_single_load_balancer_is_a_warning() -> None:
    assert warnings(*THREE, entry("lb1", "192.168.80.13", "lb"), virtual_ip=VIRTUAL_IP) == [
        "inventory: group lb has one machine, lb1; the API is away with it: use two"
    ]


def test_the_guides_cluster_has_no_warning() -> None:
    assert warnings(*GUIDE, virtual_ip=VIRTUAL_IP) == warnings(*ONE) == []
