"""Flags and configuration files: what the release needs, what the user sets wins, and no secret in any of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cluster_samples import GUIDE, ONE, THREE, VIRTUAL_IP, cluster, entry, guide

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.components import flags
from kubeinfra.pki.certificates import master_certificates, node_certificates

Flags = Callable[[Cluster], dict[str, str]]

APISERVER: Flags = lambda found: flags.apiserver_flags(found, found.masters[0])  # noqa: E731
KUBELET: Flags = lambda found: flags.kubelet_flags(found, found.nodes[0])  # noqa: E731
COMPONENTS: dict[str, Flags] = {
    "apiserver": APISERVER,
    "controller_manager": flags.controller_manager_flags,
    "scheduler": flags.scheduler_flags,
}


def everything(found: Cluster) -> list[dict[str, Any]]:
    node = found.nodes[0]
    documents = [flags.kubelet_configuration(found, node, "/etc/resolv.conf")]
    documents.append(flags.kube_proxy_configuration(found, node, "ipvs"))
    return [*(make(found) for make in (*COMPONENTS.values(), KUBELET)), *documents]


@pytest.mark.parametrize(
    ("component", "port"), [("controller_manager", "10252"), ("scheduler", "10251")], ids=["manager", "scheduler"]
)
def test_componentstatuses_of_1_20_finds_the_plain_ports_on_the_master_itself(component: str, port: str) -> None:
    """`kubectl get componentstatuses` asks http://127.0.0.1:10252 and :10251, which later minors do not have."""
    found = COMPONENTS[component](guide())
    assert (found["address"], found["port"]) == ("127.0.0.1", port)
    assert found["bind-address"] == "127.0.0.1"


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_users_own_flags_win(component: str) -> None:
    own = {"v": "4", "profiling": "true", "feature-gates": "A=true,B=false"}
    before, after = COMPONENTS[component](guide()), COMPONENTS[component](guide(**{f"{component}_extra_args": own}))
    assert {name: after[name] for name in own} == own
    assert {name: value for name, value in after.items() if name not in own} == {
        name: value for name, value in before.items() if name not in own
    }


def test_the_users_own_fields_of_the_kubelet_win() -> None:
    found = guide(kubelet_extra_config={"maxPods": 200, "readOnlyPort": 10255})
    configuration = flags.kubelet_configuration(found, found.nodes[0], "/etc/resolv.conf")
    assert (configuration["maxPods"], configuration["readOnlyPort"]) == (200, 10255)
    assert configuration["cgroupDriver"] == "systemd"


def test_a_node_has_the_kubelet_fields_of_its_own_inventory_line() -> None:
    large = entry("n3", "192.168.80.15", "node", kubelet_extra_config={"maxPods": 250})
    found = cluster([*THREE, large], kubelet_extra_config={"maxPods": 200})
    assert [flags.kubelet_configuration(found, node, "/etc/resolv.conf")["maxPods"] for node in found.nodes] == [
        200,
        200,
        250,
    ]


def test_no_flag_has_a_secret() -> None:
    """Secrets are in files with a mode; a unit file and `ps` are open to everybody."""
    password = "only4lbs"
    for made in everything(cluster(GUIDE, virtual_ip=VIRTUAL_IP, vrrp_password=password)):
        text = json.dumps(made)
        assert password not in text
        assert "BEGIN" not in text
        assert not [name for name in made if name.endswith(("token", "password")) and name != "enable-bootstrap-token"]


def test_every_flag_is_text_and_has_no_dashes_in_front() -> None:
    for make in (*COMPONENTS.values(), KUBELET):
        for name, value in make(guide()).items():
            assert isinstance(value, str)
            assert not name.startswith("-")


def test_each_file_in_the_api_servers_flags_is_one_that_the_masters_get() -> None:
    found = guide()
    certificates = {path for certificate in master_certificates(found) for path in certificate.files}
    cas = {f"/opt/kubernetes/ssl/{name}" for name in ("ca.pem", "etcd-ca.pem", "front-proxy-ca.pem")}
    others = {
        "/opt/kubernetes/cfg/audit-policy.yaml",
        "/opt/kubernetes/cfg/token.csv",
        "/opt/kubernetes/logs/audit.log",
        flags.SERVICE_ACCOUNT_KEY,
        flags.SERVICE_ACCOUNT_PUBLIC_KEY,
    }
    told = {value for value in APISERVER(found).values() if value.startswith("/")}
    assert told - certificates - cas - others == set()


def test_each_master_says_its_own_address_and_knows_all_members_of_etcd() -> None:
    found = guide()
    by_master = {master.name: flags.apiserver_flags(found, master) for master in found.masters}
    assert {name: told["advertise-address"] for name, told in by_master.items()} == {
        "m1": "192.168.80.10",
        "m2": "192.168.80.20",
    }
    assert {told["etcd-servers"] for told in by_master.values()} == {
        "https://192.168.80.10:2379,https://192.168.80.11:2379,https://192.168.80.12:2379"
    }


def test_networks_and_years_come_from_the_settings() -> None:
    found = guide(
        service_cidr="10.96.0.0/16",
        dns_address="10.96.0.10",
        cluster_cidr="10.32.0.0/12",
        node_cidr_mask=22,
        kubelet_certificate_years=3,
        cluster_domain="example.org",
        apiserver_port=8443,
    )
    manager, apiserver = flags.controller_manager_flags(found), APISERVER(found)
    kubelet, proxy = everything(found)[-2:]
    assert manager["service-cluster-ip-range"] == apiserver["service-cluster-ip-range"] == "10.96.0.0/16"
    assert manager["cluster-cidr"] == proxy["clusterCIDR"] == "10.32.0.0/12"
    assert manager["node-cidr-mask-size"] == "22"
    assert manager["cluster-signing-duration"] == "26280h"
    assert apiserver["secure-port"] == "8443"
    assert (kubelet["clusterDNS"], kubelet["clusterDomain"]) == (["10.96.0.10"], "example.org")


def test_a_node_is_named_by_its_address() -> None:
    found = guide()
    told = flags.kubelet_flags(found, found.nodes[1])
    proxy = flags.kube_proxy_configuration(found, found.nodes[1], "ipvs")
    assert told["hostname-override"] == told["node-ip"] == "192.168.80.12"
    assert proxy["hostnameOverride"] == proxy["bindAddress"] == "192.168.80.12"
    serving, _ = node_certificates(found.nodes[1])
    assert serving.spec.common_name == "system:node:192.168.80.12"


def test_a_master_that_is_a_node_too_bears_the_taint_unless_it_is_schedulable() -> None:
    assert KUBELET(cluster(ONE))["register-with-taints"] == "node-role.kubernetes.io/master=:NoSchedule"
    assert "register-with-taints" not in KUBELET(cluster(ONE, masters_schedulable=True))
    assert "register-with-taints" not in KUBELET(guide())


def test_strangers_get_no_answer_from_a_kubelet() -> None:
    configuration = everything(guide())[-2]
    assert configuration["authentication"]["anonymous"]["enabled"] is False
    assert configuration["authorization"]["mode"] == "Webhook"
    assert configuration["readOnlyPort"] == 0


@pytest.mark.parametrize(("nodes", "said"), [(2, "4s"), (100, "4s"), (101, None), (200, None)])
def test_a_large_clusters_kubelets_report_as_often_as_upstreams(nodes: int, said: str | None) -> None:
    """A small one's configuration is as it always was: another would restart its kubelets."""
    machines = [entry(f"n{number}", f"192.168.81.{number}", "node") for number in range(1, nodes)]
    found = cluster([entry("m1", "192.168.80.10", "master etcd node"), *machines])
    assert (
        flags.kubelet_configuration(found, found.nodes[0], "/etc/resolv.conf").get("nodeStatusUpdateFrequency") == said
    )


IPVS = {"scheduler": "rr", "strictARP": True}


@pytest.mark.parametrize(
    ("values", "ipvs"),
    [
        ({"kube_proxy_mode": "ipvs"}, IPVS),
        ({"ipvs_scheduler": "lc"}, {**IPVS, "scheduler": "lc"}),
        ({"kube_proxy_mode": "iptables"}, {"scheduler": "rr"}),
        ({"kube_proxy_extra_config": {"ipvs": {"strictARP": False}}}, {**IPVS, "strictARP": False}),
        ({"kube_proxy_extra_config": {"ipvs": {"minSyncPeriod": "1s"}}}, {**IPVS, "minSyncPeriod": "1s"}),
        ({"kube_proxy_extra_config": {"ipvs": None}}, None),
    ],
)
def test_a_node_answers_arp_for_its_own_addresses_only_unless_a_user_says_otherwise(
    values: dict[str, Any], ipvs: object
) -> None:
    found = guide(**values)
    mode = found.settings.kube_proxy_mode or "ipvs"
    assert flags.kube_proxy_configuration(found, found.nodes[0], mode)["ipvs"] == ipvs


def test_nothing_is_said_of_ipvs_to_a_kube_proxy_in_nftables_mode() -> None:
    told = flags.kube_proxy_configuration(guide(), guide().nodes[0], "nftables")
    assert (told["mode"], "ipvs" in told) == ("nftables", False)


@pytest.mark.parametrize(
    ("values", "fail", "swap"),
    [({}, True, None), ({"swap": "limited", "kubernetes_version": "1.34.4"}, False, {"swapBehavior": "LimitedSwap"})],
)
def test_a_kubelet_starts_with_swap_only_where_pods_are_to_have_some(
    values: dict[str, Any], fail: bool, swap: object
) -> None:
    found = guide(**values)
    told = flags.kubelet_configuration(found, found.nodes[0], "/etc/resolv.conf")
    assert (told["failSwapOn"], told.get("memorySwap")) == (fail, swap)


def test_kube_proxy_has_further_fields_of_cluster_and_machine() -> None:
    own = entry("n3", "192.168.80.15", "node", kube_proxy_extra_config={"oomScoreAdj": -500})
    found = cluster([*THREE, own], kube_proxy_extra_config={"oomScoreAdj": -900, "iptables": {"syncPeriod": "1m"}})
    first, third = (flags.kube_proxy_configuration(found, found.machine(name), "ipvs") for name in ("n1", "n3"))
    assert (first["oomScoreAdj"], third["oomScoreAdj"]) == (-900, -500)
    assert first["iptables"] == third["iptables"] == {"syncPeriod": "1m"}
    assert first["clusterCIDR"] == "10.244.0.0/16"


def test_one_node_may_answer_arp_for_services_and_the_others_do_not() -> None:
    own = entry("n3", "192.168.80.15", "node", kube_proxy_extra_config={"ipvs": {"strictARP": False}})
    found = cluster([*THREE, own])
    said = [flags.kube_proxy_configuration(found, node, "ipvs")["ipvs"]["strictARP"] for node in found.nodes]
    assert said == [True, True, False]


def test_what_is_merged_is_left_as_it_was() -> None:
    own: dict[str, Any] = {"a": {"b": 1}, "c": 2}
    assert flags.merged(own, {"a": {"d": 3}, "e": 4}) == {"a": {"b": 1, "d": 3}, "c": 2, "e": 4}
    assert own == {"a": {"b": 1}, "c": 2}
