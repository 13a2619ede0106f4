"""What the documented command line has made of bare machines, as kubectl and the machines see it."""

from __future__ import annotations

import stat
from collections.abc import Iterator

import pytest
import web
from invocation import Invocation, slowness
from laboratory import Lab


@pytest.fixture(scope="module")
def pods(cluster: Lab) -> Iterator[dict[str, tuple[str, str]]]:
    """A web server on each node: name of the pod -> its address, and its node."""
    try:
        web.serve(cluster)
        yield {one["metadata"]["name"]: (one["status"]["podIP"], one["spec"]["nodeName"]) for one in web.pods(cluster)}
    finally:
        web.remove(cluster)


def test_the_deploy_is_quick_and_small(first_deploy: Invocation) -> None:
    """48 s on quiet cores; twice that here, where the machines have booted a moment ago."""
    seconds, slow = first_deploy.phases["nodes are Ready, and flannel runs"], slowness()
    assert seconds < 96 * slow, f"nodes should be Ready after 96 s x {slow:.1f} at most, not {seconds:.0f} s"
    peak = first_deploy.peak_megabytes
    assert peak < 200, f"the controller should need less than 200 MB, not {peak:.0f} MB"


def test_all_nodes_are_ready_under_their_addresses(cluster: Lab) -> None:
    wanted = {cluster.address(name): "Ready" for name in cluster.nodes}
    assert cluster.node_states() == wanted, f"the nodes should be {wanted}"


def test_flannel_runs_on_every_node(cluster: Lab) -> None:
    items = cluster.get("-n", "kube-flannel", "pods")["items"]
    states = {one["spec"]["nodeName"]: one["status"]["containerStatuses"][0]["ready"] for one in items}
    assert states == {cluster.address(name): True for name in cluster.nodes}, f"flannel should be ready: {states}"
    links = cluster.everywhere("ip -brief address show flannel.1", cluster.nodes)
    assert all("10.244." in text for text in links.values()), f"each node should have flannel.1: {links}"


def test_every_component_is_healthy_to_kubectl(cluster: Lab) -> None:
    found = {
        one["metadata"]["name"]: one["conditions"][0]["status"] for one in cluster.get("componentstatuses")["items"]
    }
    members = [f"etcd-{number}" for number in range(len(cluster.etcd))]
    wanted = dict.fromkeys(["controller-manager", "scheduler", *members], "True")
    assert found == wanted, f"`kubectl get cs` should say Healthy of all: {found}"


def test_leaders_hold_leases(cluster: Lab) -> None:
    leases = {
        one["metadata"]["name"]: one["spec"]["holderIdentity"]
        for one in cluster.get("-n", "kube-system", "leases")["items"]
    }
    for name in ("kube-controller-manager", "kube-scheduler"):
        holder = leases.get(name, "").partition("_")[0]
        assert holder in cluster.masters, f"the lease {name} should be held on a master: {leases}"
    heartbeats = {one["metadata"]["name"] for one in cluster.get("-n", "kube-node-lease", "leases")["items"]}
    assert heartbeats >= {cluster.address(name) for name in cluster.nodes}, f"a lease each node: {heartbeats}"


def test_every_machine_has_its_name_and_knows_the_others(cluster: Lab) -> None:
    for machine, text in cluster.everywhere("hostname; cat /etc/hostname /etc/hosts").items():
        assert text.splitlines()[:2] == [machine, machine], f"{machine} should have its name: {text}"
        for name, address in cluster.addresses.items():
            assert f"{address} {name}" in text, f"{machine} should know {name}:\n{text}"


def test_the_administrators_kubeconfig_is_the_owners_alone(cluster: Lab) -> None:
    for path in [cluster.state, *cluster.state.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        wanted = 0o700 if path.is_dir() else 0o600
        assert mode == wanted, f"{path} should have mode {wanted:o}, not {mode:o}"
    assert cluster.kubectl("auth", "can-i", "*", "*").strip() == "yes", "it should be the administrator's"


def test_pods_of_all_nodes_reach_each_other(cluster: Lab, pods: dict[str, tuple[str, str]]) -> None:
    assert {node for _, node in pods.values()} == {cluster.address(name) for name in cluster.nodes}
    api = cluster.get("service", "kubernetes")["spec"]["clusterIP"]
    targets = [*(f"{address}:8080" for address, _ in pods.values()), f"{web.address(cluster)}:80", f"{api}:443"]
    for pod in pods:
        for target in targets:
            web.connect(cluster, pod, target)


def test_exec_and_logs_work_on_every_node(cluster: Lab, pods: dict[str, tuple[str, str]]) -> None:
    for pod in pods:
        name = cluster.kubectl("-n", web.NAMESPACE, "exec", pod, "--", "/agnhost", "help")
        assert "netexec" in name, f"exec in {pod} should say what agnhost can do: {name}"
        log = cluster.kubectl("-n", web.NAMESPACE, "logs", pod)
        assert "Started HTTP server on port 8080" in log, f"logs of {pod} should have its first words: {log}"


def test_etcd_has_one_leader_and_all_members(cluster: Lab) -> None:
    status = cluster.run(cluster.etcd[0], "etcdctl endpoint status --cluster -w table")
    assert status.count(" true ") == 1, f"one member should lead:\n{status}"
    for machine in cluster.etcd:
        assert cluster.address(machine) in status, f"{machine} should be a member:\n{status}"
