"""The cluster: its groups, and the names and addresses that follow from them."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from cluster_samples import GUIDE, ONE, THREE, TWO_MASTERS, VIRTUAL_IP, cluster, entry, guide, problems

from kubeinfra.cluster.build import InventoryEntry


def test_clients_of_etcd_know_all_its_machines_in_the_order_of_the_inventory() -> None:
    found = guide()
    assert [machine.name for machine in found.etcd_machines] == ["m1", "n1", "n2"]
    assert found.etcd_servers == ",".join(f"https://192.168.80.{last}:2379" for last in (10, 11, 12))
    assert found.machine("n1").etcd_peer_url == "https://192.168.80.11:2380"


def test_groups_keep_the_order_of_the_inventory() -> None:
    found = guide()
    assert [machine.name for machine in found.masters] == ["m1", "m2"]
    assert [machine.name for machine in found.nodes] == ["n1", "n2"]
    assert [machine.name for machine in found.load_balancers] == ["lb1", "lb2"]


@pytest.mark.parametrize(
    ("situation", "endpoint"),
    [
        (cluster(THREE), "192.168.80.10:6443"),
        (cluster(THREE, apiserver_port=8443), "192.168.80.10:8443"),
        (guide(), f"{VIRTUAL_IP}:6443"),
        (guide(load_balancer_port=443), f"{VIRTUAL_IP}:443"),
        (guide(control_plane_endpoint="k8s.example.com:443"), "k8s.example.com:443"),
        (cluster(TWO_MASTERS, control_plane_endpoint="10.9.8.7:443"), "10.9.8.7:443"),
        (cluster(THREE, virtual_ip=VIRTUAL_IP), "192.168.80.10:6443"),
    ],
)
def test_clients_have_one_endpoint(situation: object, endpoint: str) -> None:
    assert situation.endpoint == endpoint  # type: ignore[attr-defined]
    assert situation.server == f"https://{endpoint}"  # type: ignore[attr-defined]


def test_the_api_servers_certificate_covers_every_way_to_call_one() -> None:
    found = guide()
    assert found.apiserver_names == (
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "m1",
        "m2",
    )
    assert found.apiserver_addresses == tuple(
        IPv4Address(text) for text in ("127.0.0.1", "10.0.0.1", "192.168.80.10", "192.168.80.20", VIRTUAL_IP)
    )


def test_an_endpoint_of_ones_own_is_covered_as_a_name_or_as_an_address() -> None:
    by_name = guide(control_plane_endpoint="k8s.example.com:443", cluster_domain="example.org")
    assert by_name.apiserver_names[-1] == "k8s.example.com"
    assert "kubernetes.default.svc.example.org" in by_name.apiserver_names
    assert IPv4Address(VIRTUAL_IP) in by_name.apiserver_addresses, "the load balancers stay in use"
    by_address = cluster(TWO_MASTERS, control_plane_endpoint="10.9.8.7:443")
    assert by_address.apiserver_addresses[-1] == IPv4Address("10.9.8.7")
    assert "10.9.8.7" not in by_address.apiserver_names


def test_the_api_servers_own_service_is_the_first_of_its_network() -> None:
    found = cluster(service_cidr="10.96.0.0/12", dns_address="10.96.0.10")
    assert str(found.apiserver_service_address) == "10.96.0.1"


@pytest.mark.parametrize(
    ("line", "address", "hostname"),
    [
        (InventoryEntry("m9", frozenset(), {}, "192.168.80.19"), "192.168.80.19", "m9"),
        (InventoryEntry("192.168.80.19", frozenset(), {"hostname": "m9"}), "192.168.80.19", "m9"),
        (InventoryEntry("m9", frozenset(), {"address": "10.1.1.1"}, "gateway.example.com"), "10.1.1.1", "m9"),
        (
            InventoryEntry("m9", frozenset(), {"address": "10.1.1.1", "hostname": "other"}, "10.9.9.9"),
            "10.1.1.1",
            "other",
        ),
    ],
)
def test_a_machines_address_is_found(line: InventoryEntry, address: str, hostname: str) -> None:
    found = cluster([*THREE, line]).machine(line.name)
    assert (str(found.address), found.hostname, found.node_name) == (address, hostname, address)


def test_the_error_for_a_missing_address_shows_how_to_give_it() -> None:
    nameless = InventoryEntry("n3", frozenset({"node"}), {}, "n3.example.com")
    assert problems([*THREE, nameless]) == (
        'inventory: n3 has no address; say ("n3", {"ssh_hostname": "192.168.80.10"}), or "address" if ssh uses a name',
    )


def test_a_machines_own_settings_are_read_strictly() -> None:
    assert problems([*THREE, entry("n3", "192.168.80.13", "node", adress="10.1.1.1")]) == (
        "inventory: n3: unknown setting adress; did you mean address?",
    )
    told = problems([*THREE, InventoryEntry("n3", frozenset({"node"}), {"address": "10.1.1"})])
    assert told == ("inventory: n3: address is '10.1.1': input is not a valid IPv4 address",)


def test_what_goes_with_the_release_can_be_set_by_hand() -> None:
    found = cluster(ONE)
    assert (found.etcd_version, found.pause_image) == (found.release.etcd, found.release.pause_image)
    images = ("pause_image", "flannel_image", "flannel_cni_plugin_image", "coredns_image", "verify_image")
    own = cluster(ONE, etcd_version="3.4.24", **{name: f"registry.example.com/{name}:1" for name in images})
    assert own.etcd_version == "3.4.24"
    assert [getattr(own, name) for name in images] == [f"registry.example.com/{name}:1" for name in images]


def test_names_come_from_the_inventory() -> None:
    assert guide().machine("lb2").groups == {"lb"}
    with pytest.raises(KeyError):
        guide().machine("nobody")
    assert len(guide().machines) == len(GUIDE)


@pytest.mark.parametrize(
    ("said", "nodes", "at_once"),
    [
        ("10%", 1, 1),
        ("10%", 10, 1),
        ("10%", 11, 2),
        ("10%", 240, 24),
        ("100%", 7, 7),
        ("1%", 3, 1),
        (1, 240, 1),
        (5, 3, 5),
    ],
)
def test_so_many_nodes_may_be_away_at_once(said: int | str, nodes: int, at_once: int) -> None:
    """Rounded up, as a DaemonSet's maxUnavailable."""
    machines = [entry(f"n{number}", f"192.168.81.{number}", "node") for number in range(1, nodes)]
    assert (
        cluster([entry("m1", "192.168.80.10", "master etcd node"), *machines], max_unavailable=said).max_unavailable
        == at_once
    )
