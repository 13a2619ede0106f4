"""
A cluster that an earlier commit of this project has made, taken over by this one, and worked on from then on.

Masters that are nodes are tried on it too, and a load balancer on a node: everything but the guide's own plan.
"""

from __future__ import annotations

from collections import Counter

import pytest
from laboratory import Lab, until
from observe import assert_finished, differences, processes, restarted
from takeover import Upgrade

# "machine:path" of what this code writes otherwise, and CHANGELOG.md says so.
KUBE_PROXY_CONFIG = "/opt/kubernetes/cfg/kube-proxy-config.yaml"
NAMED: tuple[str, ...] = (
    *(f"{machine}:/usr/local/bin/etcdctl" for machine in ("one", "two", "three")),  # never through a proxy
    "two:/etc/keepalived/check-apiserver",
    *(f"{machine}:{KUBE_PROXY_CONFIG}" for machine in ("one", "two")),  # strictARP
)
# What it restarts because of that.
RESTARTED = {("one", "kube-proxy"), ("two", "kube-proxy")}
# Operations that a plan has for it.
PLANNED = ["etcd | files", "load balancer | files", "node | files", "node | registered"]


def paths(lines: list[str]) -> set[str]:
    return {line.partition(": ")[0] for line in lines}


def test_a_plan_names_what_differs_and_nothing_else(upgrade: Upgrade) -> None:
    assert upgrade.plan.code == 0, f"a plan should succeed:\n{upgrade.plan.text}"
    assert list(upgrade.plan.planned) == PLANNED, f"nothing else should be planned: {upgrade.plan.text}"
    changed = differences(upgrade.trees["before"], upgrade.trees["planned"])
    assert not changed, "a plan should leave everything as it is:\n" + "\n".join(changed[:30])
    told = {sentence for machine in upgrade.lab.machines for sentence in upgrade.plan.told(machine)}
    verbs = ("change ", "write ", "mode ", "make ", "link ", "remove ", "enable ", "start ", "restart ", "reload ")
    announced = {one for one in told if one.startswith((f"{upgrade.lab.state}: ", *verbs))}
    assert announced == {
        f"{upgrade.lab.state}: bring to schema 2, authorities/ becomes ca/",
        f"restart kube-proxy.service: {KUBE_PROXY_CONFIG} changes",
        *(f"change {path.partition(':')[2]}" for path in NAMED),
    }


def test_nothing_restarts_but_what_is_named(upgrade: Upgrade) -> None:
    assert len(upgrade.processes["before"]) > 15, f"all of the cluster should run: {upgrade.processes['before']}"
    moved = restarted(upgrade.processes["before"], upgrade.processes["after"])
    assert moved == RESTARTED, f"no other process should be another one: {moved}"


def test_nothing_on_the_machines_changes_but_what_is_named(upgrade: Upgrade) -> None:
    """Every file of ours with its digest, so every certificate and key too."""
    changed = differences(upgrade.trees["before"], upgrade.trees["after"])
    assert paths(changed) == set(NAMED), "only what is named should change:\n" + "\n".join(changed[:30])
    assert upgrade.run.changes == upgrade.plan.planned, "the run should do what the plan says, and nothing else"


def test_the_controller_keeps_every_key_and_certificate_of_its_cas(upgrade: Upgrade) -> None:
    was, now = ({path.read_bytes() for path in lab.state.rglob("*.pem")} for lab in (upgrade.earlier, upgrade.lab))
    assert len(was) >= 6, "three CAs should have been made, a key and a certificate each"
    assert was <= now, "each should still be there, byte for byte"
    loose = [path for path in upgrade.lab.state.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert not loose, f"files should be their owner's only: {loose}"


@pytest.fixture(scope="module")
def web(stacked: Lab) -> None:
    """A Deployment whose pods end at once when they are told to."""
    image = stacked.get("-n", "kube-flannel", "daemonset", "kube-flannel-ds")["spec"]["template"]["spec"]
    sleeper = [f"--image={image['containers'][0]['image']}", "--", "sh", "-c", "trap exit TERM; sleep 3600 & wait"]
    stacked.kubectl("create", "deployment", "web", *sleeper)


def run_pods(lab: Lab, replicas: int) -> Counter[str]:
    """Scale Deployment `web`, and count its pods that are ready: machine -> how many."""
    lab.kubectl("scale", "deployment", "web", f"--replicas={replicas}")
    lab.kubectl("rollout", "status", "deployment/web", "--timeout=90s")
    names = {lab.address(machine): machine for machine in lab.nodes}
    return Counter(names[pod["spec"]["nodeName"]] for pod in lab.get("pods", "-l", "app=web")["items"])


@pytest.mark.usefixtures("web")
def test_ordinary_pods_keep_off_a_master_that_is_a_node(stacked: Lab) -> None:
    assert run_pods(stacked, 4) == {"two": 4}


NODE_OBJECTS = """\
masters_schedulable = True
node_labels = {"example.com/disk": "ssd"}
node_taints = ["example.com/busy=yes:PreferNoSchedule"]
"""


def node_objects(lab: Lab, key: str) -> list[tuple[str | None, set[str]]]:
    """Of each node: the value of a label, and its taints."""
    return [
        (one["metadata"]["labels"].get(key), {taint["key"] for taint in one["spec"].get("taints", [])})
        for one in sorted(lab.get("nodes")["items"], key=lambda node: node["metadata"]["name"])
    ]


@pytest.mark.usefixtures("web")
def test_settings_label_and_taint_nodes_let_pods_onto_masters_and_take_it_all_back(stacked: Lab) -> None:
    before, own = processes(stacked), "node-role.kubernetes.io/master"
    with stacked.more_settings(NODE_OBJECTS):
        done = stacked.deploy("--json")
    assert "node objects | labels and taints" in done.changes, f"the taint should have gone: {done.changes}"
    assert node_objects(stacked, "example.com/disk") == [("ssd", {"example.com/busy"})] * 2
    spread = run_pods(stacked, 12)
    assert spread["one"] > 0, f"pods should be on the master now: {spread}"
    back = stacked.deploy("--json")
    assert "node objects | labels and taints" in back.changes
    assert node_objects(stacked, "example.com/disk") == [(None, {own}), (None, set())]
    moved = restarted(before, processes(stacked))
    assert moved == {("one", "kubelet"), ("two", "kubelet")}, "only kubelets are told what new Nodes register with"
    run_pods(stacked, 0)
    until("no pod of it is left", lambda: not stacked.get("pods", "-l", "app=web")["items"], 60)
    assert run_pods(stacked, 4) == {"two": 4}, "the taint should be back"
    assert_finished(stacked, back)
