"""Groups with a wrong name, and names that no machine has."""

from __future__ import annotations

import pytest

from kubeinfra.cluster.groups import corrected, meant, problems

SOUND = {"machines": ["m1", "n1", "n2"], "master": ["m1"], "node": ["n1", "n2"], "etcd": ["m1", "n1", "n2"]}


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("master", "masters Master masetr control_plane controlplane control-plane controllers servers"),
        ("node", "nodes worker workers minions kubelet noed nods"),
        ("etcd", "etcds etcd_members ectd"),
        ("lb", "lbs loadbalancer load_balancers load-balancer LB haproxy keepalived"),
        (None, "master node etcd lb machines inventory all gpu fast web db lab room1 cluster storage nodepool rack-a"),
    ],
)
def test_what_a_group_was_probably_meant_to_be(role: str | None, words: str) -> None:
    assert {word: meant(word) for word in words.split()} == dict.fromkeys(words.split(), role)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"gpu": ["n1"]},
        {"workers": ["n1", "n2"]},
        {"masters": []},
        {"nodes": ["m1", "n1", "n2"]},  # such as all machines, of a file nodes.py
    ],
    ids=str,
)
def test_groups_that_are_not_misspelled(more: dict[str, list[str]]) -> None:
    assert problems({**SOUND, **more}) == []


def test_an_inventory_without_a_list_of_machines_may_name_them_in_its_groups() -> None:
    assert problems({"master": ["m1"], "node": ["n1"], "etcd": ["m1"]}) == []


def test_what_is_wrong_is_seen_as_it_was_meant() -> None:
    groups = {"machines": ["m1", "n1"], "masters": ["m1"], "node": ["n11", "zz"], "etcd": ["m1"]}
    assert problems(groups) == [
        "inventory: group masters (m1) is none of master, node, etcd, lb; did you mean master?",
        "inventory: node has n11, which is not in machines; did you mean n1?",
        "inventory: node has zz, which is not in machines; add its line to machines, or take the name out",
    ]
    assert corrected(groups) == {"m1": {"machines", "masters", "master", "etcd"}, "n1": {"machines", "node"}}
