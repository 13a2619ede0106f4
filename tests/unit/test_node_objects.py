"""Labels and taints of Node objects: those of the settings are set and removed, all others stay."""

from __future__ import annotations

import json
from pathlib import Path

from cluster_samples import ONE, cluster, entry
from local_machine import answer, program

from kubeinfra.cluster.labels import NodeTaint
from kubeinfra.components.node_objects import NodeObject, changes, wanted
from kubeinfra.facts.nodes import NodeObjects

NODE = "192.168.80.10"


def said(found: NodeObject, **settings: object) -> dict[str, str]:
    """Sentence -> command for the only node, which is a master too and lets pods run on it."""
    todo = changes(wanted(cluster(ONE, **{"masters_schedulable": True, **settings})), {NODE: found})
    return {change.sentence: change.command for change in todo}


def taints(*texts: str) -> frozenset[NodeTaint]:
    return frozenset(map(NodeTaint.parse, texts))


def test_without_settings_nothing_of_others_changes() -> None:
    assert said(NodeObject({"theirs": "1"}, taints("theirs=1:NoExecute"))) == {}


def test_labels_and_taints_of_settings_are_set_and_recorded() -> None:
    found = said(
        NodeObject({"disk": "hdd"}), node_labels={"disk": "ssd"}, node_taints=["gpu=yes:NoSchedule", "a:NoExecute"]
    )
    assert found == {
        f"put label disk=ssd on {NODE}": f"label node {NODE} --overwrite disk=ssd",
        f"put taint a:NoExecute on {NODE}, put taint gpu=yes:NoSchedule on {NODE}": (
            f"taint node {NODE} --overwrite a=:NoExecute gpu=yes:NoSchedule"
        ),
        f"note on {NODE} which labels and taints are the settings'": (
            f"annotate node {NODE} --overwrite kubeinfra/labels=disk kubeinfra/taints=a:NoExecute,gpu:NoSchedule"
        ),
    }


def test_a_second_time_there_is_nothing_to_do() -> None:
    there = NodeObject(
        {"disk": "ssd"}, taints("gpu=yes:NoSchedule"), frozenset(["disk"]), frozenset(["gpu:NoSchedule"])
    )
    assert said(there, node_labels={"disk": "ssd"}, node_taints=["gpu=yes:NoSchedule"]) == {}


def test_what_a_setting_no_longer_has_is_removed_and_nothing_else() -> None:
    there = NodeObject(
        {"disk": "ssd", "theirs": "1"},
        taints("gpu=yes:NoSchedule", "theirs=1:NoExecute"),
        frozenset(["disk", "gone-already"]),
        frozenset(["gpu:NoSchedule"]),
    )
    assert list(said(there).values()) == [
        f"label node {NODE} --overwrite disk-",
        f"taint node {NODE} --overwrite gpu:NoSchedule-",
        f"annotate node {NODE} --overwrite kubeinfra/labels= kubeinfra/taints=",
    ]


MASTER = "node-role.kubernetes.io/master:NoSchedule"


def test_a_masters_taint_follows_its_setting_and_needs_no_record() -> None:
    put, removed = f"put taint {MASTER} on {NODE}", f"remove taint {MASTER} from {NODE}"
    assert list(said(NodeObject(), masters_schedulable=False)) == [put]
    assert list(said(NodeObject({}, taints(MASTER)))) == [removed]
    assert said(NodeObject({}, taints(MASTER)), masters_schedulable=False) == {}


def test_on_a_node_that_is_no_master_that_taint_is_the_users_own() -> None:
    found = cluster((entry("m1", "192.168.80.10", "master etcd"), entry("n1", "192.168.80.11", "node")))
    assert changes(wanted(found), {"192.168.80.11": NodeObject({}, taints(MASTER))}) == []


def test_a_node_that_has_not_registered_is_left_out() -> None:
    assert changes(wanted(cluster(ONE, node_labels={"disk": "ssd"})), {}) == []


def test_nodes_are_read_as_the_api_has_them(tmp_path: Path) -> None:
    item = {
        "metadata": {"name": NODE, "labels": {"a": "1"}, "annotations": {"kubeinfra/labels": "a,b", "theirs": "x"}},
        "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}, {"key": "v", "value": "1", "effect": "NoExecute"}]},
    }
    text = json.dumps({"items": [item, {"metadata": {"name": "bare"}, "spec": {}}]})
    programs = program(tmp_path, "kubectl", f"cat <<'END'\n{text}\nEND")
    assert answer(NodeObjects(), programs=programs, kubectl="kubectl") == {
        NODE: NodeObject({"a": "1"}, taints("k:NoSchedule", "v=1:NoExecute"), frozenset(["a", "b"])),
        "bare": NodeObject(),
    }


def test_without_an_answer_there_are_no_nodes_yet(tmp_path: Path) -> None:
    assert answer(NodeObjects(), programs=program(tmp_path, "kubectl", "exit 1"), kubectl="kubectl") == {}
