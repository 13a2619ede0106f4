"""What happens to a running cluster by itself, and how it comes back."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address, ip_interface, ip_network

from laboratory import Lab, until
from observe import LOAD_BALANCER, Processes, processes, restarted


def members(cluster: Lab) -> dict[str, str]:
    """Name of each member -> its id, and the id of the cluster."""
    answer = json.loads(cluster.run(cluster.etcd[0], "etcdctl member list -w json"))
    found = {one["name"]: str(one["ID"]) for one in answer["members"]}
    return found | {"cluster": str(answer["header"]["cluster_id"])}


def etcd_answers(cluster: Lab) -> bool:
    return "unhealthy" not in cluster.run(cluster.etcd[0], "etcdctl endpoint health --cluster 2>&1")


def test_data_survives_a_restart_of_all_members_at_once(cluster: Lab, before: Processes) -> None:
    was = members(cluster)
    cluster.run(cluster.etcd[0], "etcdctl put lab-test written-before")
    cluster.everywhere("systemctl stop etcd", cluster.etcd)
    stopped = {key for key in processes(cluster) if key[1] == "etcd"}
    assert not stopped, f"all members should be stopped now: {stopped}"
    cluster.everywhere("systemctl start etcd", cluster.etcd)
    until("all members are healthy", lambda: etcd_answers(cluster), 60)
    kept = cluster.run(cluster.etcd[-1], "etcdctl get lab-test --print-value-only").strip()
    assert kept == "written-before", f"what was written before should be there: {kept!r}"
    assert members(cluster) == was, f"it should be the same members: {was}"
    cluster.run(cluster.etcd[0], "etcdctl del lab-test")
    cluster.require_healthy("after etcd was away")


def test_a_member_is_never_made_anew_over_its_data(cluster: Lab) -> None:
    """What it needed at birth may be lost or wrong, and it may be stopped: the deploy starts it as who it is."""
    was = members(cluster)
    one, other = cluster.etcd[-1], cluster.etcd[-2]
    cluster.run(one, "systemctl stop etcd; rm -f /opt/etcd/cfg/etcd.initial")
    at_birth = cluster.run(other, "cd /opt/etcd/cfg; cat etcd.initial; sed -i 's/etcd-cluster/another/' etcd.initial")
    done = cluster.deploy("--json")
    cluster.run(other, "cat >/opt/etcd/cfg/etcd.initial", stdin=at_birth)
    assert done.changes.get("etcd | start") == [one], f"{one} should have been started, and no other: {done.changes}"
    assert set(done.changes) <= {"etcd | start", "etcd | healthy"}, f"nothing else is to be done: {done.changes}"
    assert members(cluster) == was, f"it should be the same members: {was}"
    gone = cluster.run(one, "[ -e /opt/etcd/cfg/etcd.initial ] && echo there; exit 0")
    assert not gone, "what is for a birth only should not be written where there is data"
    assert etcd_answers(cluster), "all members should be healthy"


def test_a_deleted_node_comes_back_when_its_kubelet_restarts(cluster: Lab, before: Processes) -> None:
    machine = cluster.nodes[-1]
    name = cluster.address(machine)
    was = cluster.get("node", name)["metadata"]["uid"]
    cluster.kubectl("delete", "node", name)
    cluster.run(machine, "systemctl restart kubelet")
    until(f"node {name} is Ready", lambda: cluster.node_states().get(name) == "Ready" or cluster.node_states(), 60)
    assert cluster.get("node", name)["metadata"]["uid"] != was, "it should be a new object"
    moved = restarted(before, processes(cluster))
    assert moved == {(machine, "kubelet")}, f"nothing else should have restarted: {moved}"


def test_the_deploy_after_it_puts_the_pods_on_the_network_that_it_has_now(cluster: Lab) -> None:
    """Kubernetes gives a new Node another network, which neither flannel nor the pods' bridge takes by itself."""
    machine = cluster.nodes[-1]
    given = cluster.get("node", cluster.address(machine))["spec"]["podCIDR"]
    told = cluster.pyinfra("tasks/verify.py")
    assert told.code != 0 and f"was given {given}" in told.text, (
        f"verify should tell that it is elsewhere:\n{told.text}"
    )
    done = cluster.deploy("--json")
    assert done.changes.get("network | pod network") == [machine], f"only {machine} moves: {done.changes}"
    assert "verify | traffic" in done.changes, f"a new node should be worth a check of the traffic: {done.changes}"
    bridge = cluster.run(machine, "ip -o -4 address show dev cni0").split()[3]
    assert ip_interface(bridge).network == ip_network(given), f"the bridge should have {given}: {bridge}"
    for pod in cluster.get("pods", "-A", f"--field-selector=spec.nodeName={cluster.address(machine)}")["items"]:
        address = ip_address(pod["status"].get("podIP", "0.0.0.0"))
        assert pod["spec"].get("hostNetwork") or address in ip_network(given), f"{address} should be in {given}"
    cluster.require_healthy("after the pods have moved")


# The script that tasks/verify.py runs on a master, with one try for each question: nothing is expected to get better.
TRAFFIC = """
from pathlib import Path
from kubeinfra.components.verify import traffic
from kubeinfra.run.inventory import load
cluster, _ = load(Path("inventory.py"), [Path(".lab/group_data")])
print(traffic(cluster).replace("try 10", "try 0"))
"""


def test_vxlan_that_does_not_pass_is_told_by_what_passes_and_what_does_not(cluster: Lab) -> None:
    one, other = cluster.nodes[:2]
    rule = "INPUT -p udp --dport 8472 -j DROP"
    script = cluster.python("-c", TRAFFIC).text
    cluster.run(one, f"iptables -I {rule}")
    try:
        said = cluster.run(cluster.masters[0], "cat >/run/traffic; sh /run/traffic 2>&1; rm /run/traffic", stdin=script)
    finally:
        cluster.run(one, f"iptables -D {rule}")
    here, there = cluster.address(one), cluster.address(other)
    assert f"a pod on {there} does not reach the pod on {here} " in said, f"the drop should be seen:\n{said}"
    between = re.search(r"^from the machine .*", said, re.MULTILINE)
    assert between and between[0].count(" passes") == 4, f"the machines reach each other by all else:\n{said}"
    wanted = f"next: udp 8472 does not pass from {there} to {here}, other udp does"
    assert wanted in said, f"it should say what to do next:\n{said}"


def test_a_node_that_was_deleted_while_its_kubelet_runs_is_registered_anew(cluster: Lab, before: Processes) -> None:
    machine = cluster.nodes[0]
    was = cluster.get("node", cluster.address(machine))["metadata"]["uid"]
    cluster.kubectl("delete", "node", cluster.address(machine))
    done = cluster.deploy()
    why = [told for told in done.told(machine) if told.startswith("restart kubelet.service: its Node is gone")]
    assert why, f"it should say why:\n{done.text}"
    assert cluster.get("node", cluster.address(machine))["metadata"]["uid"] != was, "it should be a new object"
    moved = restarted(before, processes(cluster))
    assert moved == {(machine, "kubelet")}, f"nothing else should have restarted: {moved}"
    cluster.require_healthy("after the node was registered again")


def test_a_node_that_comes_back_with_the_network_that_it_had_is_told_to_the_others(
    cluster: Lab, before: Processes
) -> None:
    """The next network in line is the old one if the controller-manager has restarted since it was given."""
    machine = cluster.nodes[-1]
    name = cluster.address(machine)
    given = cluster.get("node", name)["spec"]["podCIDR"]
    cluster.kubectl("delete", "node", name)
    again = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"podCIDR": given}}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(again))
    cluster.run(machine, "systemctl restart kubelet")
    until(f"node {name} is Ready", lambda: cluster.node_states().get(name) == "Ready" or cluster.node_states(), 60)
    assert cluster.get("node", name)["spec"]["podCIDR"] == given, "this test is about the same network"
    done = cluster.deploy("--json")
    assert done.changes.get("network | pod network") == [machine], f"flannel should tell the others: {done.changes}"
    assert "verify | traffic" in done.changes, f"a new node should be worth a check of the traffic: {done.changes}"
    moved = restarted(before, processes(cluster))
    assert moved == {(machine, "kubelet")}, f"nothing else should have restarted: {moved}"


def test_killed_processes_come_back_by_themselves(cluster: Lab, before: Processes) -> None:
    names = "etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy nginx keepalived"
    cluster.everywhere(f"kill -9 $(pidof {names})")
    ours = {key for key in before if key[1] in ("etcd", *LOAD_BALANCER) or key[1].startswith("kube")}
    until("all of them run again", lambda: processes(cluster).keys() >= ours or sorted(processes(cluster)), 60)
    assert ours <= restarted(before, processes(cluster)), "each should be another process now"
    until("etcd is healthy", lambda: etcd_answers(cluster), 60)
    cluster.require_healthy("after every process was killed")
    done = cluster.deploy("--json")
    assert not done.changes, f"nothing should be left to do: {done.changes}"
