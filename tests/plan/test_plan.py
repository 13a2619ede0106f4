"""A plan exits 0, tells what a run would do, and changes nothing: no machine, and not the controller."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from simulated import ROOT, Machine, Project, Ran, guide

from kubeinfra.components.host import IPVS_MODULES_CONF
from kubeinfra.controller.directory import ControllerDirectory
from kubeinfra.machine.edits import MODULES_MARK

# Each component's file, and whose machines it is for.
ALONE = {
    "addons": "master",
    "artifacts": "node",
    "containerd": "node",
    "control_plane": "master",
    "docker": "node",
    "etcd": "etcd",
    "host": "lb",
    "ipvs": "node",
    "load_balancer": "lb",
    "network": "master",
    "nftables": "node",
    "node": "node",
    "node_objects": "master",
    "verify": "master",
}
OF_LATER_RELEASES = {"containerd", "nftables"}


def test_every_component_is_planned_alone_below() -> None:
    files = ROOT.glob("tasks/*.py")
    assert {path.stem for path in files if "if is_deploy_file(__file__):" in path.read_text()} == {*ALONE, "preflight"}


@pytest.mark.parametrize(("component", "group"), ALONE.items())
def test_a_component_runs_alone_on_its_own_machines(project: Project, component: str, group: str) -> None:
    if component == "node":
        ControllerDirectory(project.directory / ".kubeinfra/kubernetes").create_ca("kubernetes", years=10)
    machines, settings = guide(), {}
    if component in OF_LATER_RELEASES:
        says = ("survey kernel 6.1.0-18-amd64", "survey route default via 192.168.80.1 dev eth0")
        machines, settings = [machine.seen(*says) for machine in machines], {"kubernetes_version": "1.37.2"}
    with nothing_changed(project):
        ran = project.plan(machines, "--limit", group, file=f"tasks/{component}.py", **settings)
    members = {machine.name for machine in guide() if group in machine.groups.split()}
    assert ran.names, "it has steps of its own"
    assert {host for operation in ran.operations for host in operation.hosts} <= members


def test_a_plan_for_bare_machines_leaves_the_controller_as_it_was(project: Project) -> None:
    with nothing_changed(project):
        assert project.plan(guide()).code == 0
    assert not (project.directory / ".kubeinfra").exists()
    assert list(project.home.iterdir()) == [], "nothing is fetched or unpacked by a plan"


@contextmanager
def nothing_changed(project: Project) -> Iterator[None]:
    """On the controller; but for the inventory and its settings, which the test writes."""
    before = project.files()
    yield
    after = project.files()
    written = {"project/inventory.py", "project/group_data/all.py"}
    assert {path for path in {*before, *after} if before.get(path) != after.get(path)} <= written


def test_a_plan_says_what_a_run_would_do(guide_plan: Ran) -> None:
    said = guide_plan.said("master01")
    for sentence in (
        "install packages chrony conntrack curl ethtool iptables kmod openssl socat",
        "write /etc/hosts",
        "host name bare -> master01",
        "issue /opt/etcd/ssl/server.pem: missing",
        "write /opt/kubernetes/cfg/token.csv (secret)",
        "enable kube-apiserver.service",
        "start kube-apiserver.service",
        "apply /opt/kubernetes/cfg/kube-flannel.yaml",
    ):
        assert said.count(sentence) == 1, sentence
    for made in ("CA etcd", "CA kubernetes", "CA front-proxy", "secret service-account-key"):
        assert any(sentence.startswith(f"create {made} in ") for sentence in said), made
    assert any(sentence.startswith("create secret bootstrap-token in ") for sentence in said)
    assert any(sentence.startswith("put /opt/kubernetes/bin/kube-apiserver 1.20.15 (sha512:") for sentence in said)
    assert any(sentence.startswith("fetch etcd 3.4.26 (https://github.com/") for sentence in said), "what is missing"
    assert "    +192.168.80.11 node01" in guide_plan.err.replace("[@fake/master01] ", ""), "texts as a diff"


def test_the_network_alone_waits_for_all_nodes(project: Project) -> None:
    """As the README has it, --limit master: none of the nodes takes part."""
    ran = project.pyinfra(guide(), "-y", "--debug", "--limit", "master", file="tasks/network.py")
    assert "rollout status daemonset/kube-flannel-ds" in ran.err
    assert "for node in 192.168.80.11 192.168.80.12; do" in ran.err


def test_kubeconfigs_get_a_line_and_no_diff(guide_plan: Ran) -> None:
    cfg = "/opt/kubernetes/cfg"
    wanted = {
        "master01": ("kube-controller-manager", "kube-scheduler", "admin"),
        "node01": ("bootstrap", "kube-proxy"),
    }
    for name, users in wanted.items():
        told = {line for line in guide_plan.said(name) if line.startswith(f"write {cfg}/") and "kubeconfig" in line}
        assert told == {f"write {cfg}/{user}.kubeconfig (secret)" for user in users}
    assert "current-context" not in guide_plan.err


def test_a_plan_asks_machines_and_tells_them_nothing(project: Project) -> None:
    ran = project.plan([ALL_IN_ONE], "--debug")
    assert ran.commands
    changing = ("mkdir", "install ", "systemctl start", "systemctl enable", "mv ", "set -eu")
    assert [command for command in ran.commands if any(word in command for word in changing)] == []
    assert len(ran.commands) == sum(asked["m1"] for asked in ran.questions.values()), "a question each"


ALL_IN_ONE = Machine("m1", "192.168.80.10", "master node etcd")
TOPOLOGIES = {
    "all in one": [ALL_IN_ONE],
    "one master and one node": [
        Machine("m1", "192.168.80.10", "master etcd"),
        Machine("n1", "192.168.80.11", "node"),
    ],
    "etcd on machines of its own": [
        *(Machine(f"e{number}", f"192.168.80.3{number}", "etcd") for number in range(1, 6)),
        Machine("m1", "192.168.80.10", "master"),
        Machine("n1", "192.168.80.11", "node"),
    ],
    "a machine without a part": [ALL_IN_ONE, Machine("spare", "192.168.80.99", "")],
    "load balancers on the masters": [
        Machine(f"m{number}", f"192.168.80.1{number}", "master node etcd lb") for number in (1, 2, 3)
    ],
}
SETTINGS: dict[str, Any] = {
    "load balancers on the masters": {"virtual_ip": "192.168.80.100", "load_balancer_port": 8443}
}


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_other_topologies_are_planned_too(project: Project, topology: str) -> None:
    machines = TOPOLOGIES[topology]
    ran = project.plan(machines, **SETTINGS.get(topology, {}))
    groups = {
        name: [one.name for one in machines if name in one.groups.split()] for name in ("etcd", "master", "node", "lb")
    }
    assert list(ran.hosts("host | files")) == sorted(one.name for one in machines)
    assert list(ran.hosts("etcd | start")) == groups["etcd"]
    assert list(ran.hosts("control plane | start")) == groups["master"]
    assert list(ran.hosts("node | start")) == groups["node"]
    assert ("load balancer | start" in ran.names) == bool(groups["lb"])
    assert ran.hosts("verify | traffic") == (groups["master"][0],)


def test_a_hosts_own_files_follow_the_topology(project: Project) -> None:
    ran = project.plan(TOPOLOGIES["etcd on machines of its own"])
    servers = ",".join(f"https://192.168.80.3{number}:2379" for number in range(1, 6))
    assert f"    --etcd-servers={servers} \\" in " ".join(ran.said("m1")).replace("+ ", " ")
    assert "put /opt/etcd/bin/etcd" not in " ".join(ran.said("m1")), "no etcd runs there"
    assert not any("kubelet" in sentence for sentence in ran.said("e1"))


def test_a_plan_that_changes_flannel_foretells_the_traffic_check(project: Project) -> None:
    """The check has passed on the network as it is now, and a run applies the manifest before it asks."""
    master, *others = guide()
    plan = project.plan([replace(master, answers={"kubeinfra-verified": ["yes"]}), *others])
    assert plan.hosts("verify | traffic") == ("master01",)


@pytest.mark.parametrize(("first", "removed"), [(MODULES_MARK, True), ("# mine\n", False)])
def test_ipvs_modules_are_loaded_at_boot_no_longer_when_the_mode_is_another(
    project: Project, first: str, removed: bool
) -> None:
    text = b64encode(f"{first}ip_vs\n".encode()).decode()
    state = f"stat\t{IPVS_MODULES_CONF}\tregular file\t644\troot:root"
    answers = {"stat -c 'stat": [f"text\t{IPVS_MODULES_CONF}\t{text}", state, "=== certificates"]}
    machine = replace(ALL_IN_ONE, answers=answers)
    plan = project.plan([machine], file="tasks/ipvs.py", kube_proxy_mode="iptables")
    assert plan.said("m1").count(f"remove {IPVS_MODULES_CONF}") == removed
    assert not [name for name in plan.names if name in ("ipvs | packages", "ipvs | modules")]
