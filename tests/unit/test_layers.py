"""Settings that may differ by machine: the machine overrides its groups, a group overrides the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from cluster_samples import ALL, entry

from kubeinfra.cluster.build import InventoryEntry, build
from kubeinfra.cluster.cluster import Cluster
from kubeinfra.cluster.settings import PER_MACHINE
from kubeinfra.errors import KubeinfraError

MASTER = entry("m1", "192.168.80.10", "master etcd")
Groups = Mapping[str, Mapping[str, Any]]


def made(entries: Sequence[InventoryEntry], by_group: Groups, **values: Any) -> Cluster:
    return build([MASTER, *entries], values, dict.fromkeys(values, ALL), by_group)[0]


def problems(entries: Sequence[InventoryEntry], by_group: Groups) -> list[str]:
    with pytest.raises(KubeinfraError) as raised:
        made(entries, by_group)
    return list(raised.value.problems)


def test_the_settings_that_may_differ() -> None:
    assert PER_MACHINE == (
        "unlisted_distribution_as",
        "swap",
        "node_labels",
        "node_taints",
        "kubelet_extra_config",
        "kube_proxy_extra_config",
    )


def test_the_nearest_value_of_a_key_holds_and_a_list_holds_as_a_whole() -> None:
    found = made(
        [
            entry("n1", "192.168.80.11", "node fast", node_labels={"c": "machine"}, node_taints=["own:NoExecute"]),
            entry("n2", "192.168.80.12", "node"),
        ],
        {
            "fast": {"node_labels": {"b": "group", "c": "group"}, "node_taints": ["fast:NoSchedule"]},
            "node": {"kubelet_extra_config": {"maxPods": 200, "evictionHard": {"memory.available": "1Gi"}}},
        },
        node_labels={"a": "cluster", "b": "cluster", "c": "cluster"},
        kubelet_extra_config={"evictionHard": {"nodefs.available": "5%"}, "logging": {}},
    )
    first, second = (found.settings_of(found.machine(name)) for name in ("n1", "n2"))
    assert first.node_labels == {"a": "cluster", "b": "group", "c": "machine"}
    assert first.node_taints == ["own:NoExecute"]
    assert second.node_labels == {"a": "cluster", "b": "cluster", "c": "cluster"}
    assert second.node_taints == []
    assert second.kubelet_extra_config == {
        "maxPods": 200,
        "evictionHard": {"memory.available": "1Gi"},
        "logging": {},
    }
    assert first.kubelet_extra_config == second.kubelet_extra_config


def test_a_machine_without_layers_has_the_clusters_settings() -> None:
    found = made([entry("n1", "192.168.80.11", "node")], {"fast": {}}, node_labels={"a": "b"})
    assert found.settings_of(found.machine("n1")) is found.settings
    assert found.settings_of(found.masters[0]) is found.settings


def test_a_machine_may_have_no_taint_by_its_own_setting() -> None:
    found = made([entry("n1", "192.168.80.11", "node", node_taints=[])], {"node": {"node_taints": ["a:NoSchedule"]}})
    assert found.settings_of(found.machine("n1")).node_taints == []


BOTH = [entry(f"n{number}", f"192.168.80.1{number}", "node fast") for number in range(1, 6)]


def test_groups_that_disagree_are_one_error_for_all_their_machines() -> None:
    by_group = {
        "fast": {"node_labels": {"disk": "ssd", "a": "b"}, "node_taints": ["a:NoSchedule"]},
        "node": {"node_labels": {"disk": "hdd", "a": "b"}, "node_taints": []},
    }
    names = "n1, n2, n3, 2 more are in both: keep one of them, or say it for the machine"
    assert problems(BOTH, by_group) == [
        "group_data/node.py: node_labels['disk'] is 'hdd', but group_data/fast.py says 'ssd'; " + names,
        "group_data/node.py: node_taints is [], but group_data/fast.py says ['a:NoSchedule']; " + names,
    ]


def test_a_value_of_the_machine_ends_the_disagreement() -> None:
    by_group = {"fast": {"node_labels": {"disk": "ssd"}}, "node": {"node_labels": {"disk": "hdd"}}}
    machine = entry("n1", "192.168.80.11", "node fast", node_labels={"disk": "nvme"})
    found = made([machine], by_group)
    assert found.settings_of(found.machine("n1")).node_labels == {"disk": "nvme"}


NODE = entry("n1", "192.168.80.11", "node")
ERRORS: list[tuple[str, Sequence[InventoryEntry], Groups, str]] = [
    (
        "a setting of the cluster on a machine",
        [entry("n1", "192.168.80.11", "node", service_cidr="10.0.0.0/24")],
        {},
        "inventory: n1: service_cidr holds for the whole cluster; set it in group_data/all.py",
    ),
    (
        "a wrong value on a machine",
        [entry("n1", "192.168.80.11", "node", node_labels={"a": 1})],
        {},
        "inventory: n1: node_labels['a'] is 1: input should be a valid string",
    ),
    (
        "a wrong value of a group",
        [NODE],
        {"node": {"node_taints": "a:NoSchedule"}},
        "group_data/node.py: node_taints is 'a:NoSchedule': input should be a valid list",
    ),
    (
        "labels of a machine that is no node",
        [NODE, entry("l1", "192.168.80.12", "", node_labels={"a": "b"})],
        {},
        "inventory: l1: node_labels would not be read: it is for nodes, and no machine here is in group node",
    ),
    (
        "labels of a group without a node",
        [NODE],
        {"etcd": {"node_labels": {"a": "b"}}},
        "group_data/etcd.py: node_labels would not be read: it is for nodes, and no machine here is in group node",
    ),
]


@pytest.mark.parametrize(
    ("entries", "by_group", "sentence"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS]
)
def test_what_cannot_work_is_reported(entries: Sequence[InventoryEntry], by_group: Groups, sentence: str) -> None:
    assert problems(entries, by_group) == [sentence]
