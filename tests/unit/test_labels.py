"""Labels and taints by Kubernetes' own rules, so that a wrong one is reported before kubectl refuses it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeinfra.cluster.labels import EFFECTS, NodeTaint
from kubeinfra.cluster.settings import Settings, read

RESERVED = (
    "labels below kubernetes.io and k8s.io are reserved for Kubernetes itself (see NodeRestriction), but for "
    "topology.kubernetes.io/region and zone, and those of node-role., node-restriction., node. and "
    "kubelet.kubernetes.io; use a domain of your own, such as 'example.com/disk'"
)
KEY = (
    "use letters, digits, '-', '_' and '.', at most 63, with a letter or digit at both ends, if need be after a domain "
    "and '/', such as 'example.com/disk'"
)
VALUE = "use letters, digits, '-', '_' and '.', at most 63, with a letter or digit at both ends, or nothing"
EFFECT = "use key=value:Effect or key:Effect, with one of NoSchedule, PreferNoSchedule, NoExecute as the effect"
NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", fullmatch=True)


def problems(**values: Any) -> list[str]:
    return read(Settings, values, {})[1]


@pytest.mark.parametrize(
    "key", ["foo.kubernetes.io/x", "kubernetes.io/role", "k8s.io/x", "topology.kubernetes.io/rack"]
)
def test_a_label_that_is_kubernetes_own_is_refused(key: str) -> None:
    assert problems(node_labels={key: "a"}) == [f": node_labels[{key!r}] is {key!r}: {RESERVED}"]


@pytest.mark.parametrize("key", ["kubernetes.io/hostname", "kubernetes.io/os", "beta.kubernetes.io/arch"])
def test_a_label_that_the_kubelet_sets_is_refused(key: str) -> None:
    assert problems(node_labels={key: "a"}) == [
        f": node_labels[{key!r}] is {key!r}: each kubelet sets this label itself; take it out, or use a domain of "
        "your own"
    ]


@pytest.mark.parametrize(
    "key",
    [
        "disk",
        "example.com/disk",
        "node-role.kubernetes.io/worker",
        "node-restriction.kubernetes.io/tenant",
        "fips.node-restriction.kubernetes.io/x",
        "topology.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "node.kubernetes.io/exclude-from-external-load-balancers",
        "notkubernetes.io/x",
    ],
)
def test_a_label_that_an_administrator_may_set_is_taken(key: str) -> None:
    assert problems(node_labels={key: ""}) == []


@pytest.mark.parametrize(
    "key", ["", "/", "/disk", "example.com/", "a/b/c", "-a", "a b", "ä", "Example.com/x", "a" * 64]
)
def test_a_label_with_a_wrong_key_is_refused(key: str) -> None:
    assert problems(node_labels={key: "x"}) == [f": node_labels[{key!r}] is {key!r}: {KEY}"]


@pytest.mark.parametrize("value", ["a b", "-", "a/b", "a" * 64])
def test_a_label_with_a_wrong_value_is_refused(value: str) -> None:
    assert problems(node_labels={"disk": value}) == [f": node_labels['disk'] is {value!r}: {VALUE}"]


@given(NAMES, NAMES | st.just(""))
def test_every_label_that_kubernetes_takes_is_taken(key: str, value: str) -> None:
    assert problems(node_labels={key: value, f"example.com/{key}": value}) == []


@given(NAMES, NAMES | st.just(""), st.sampled_from(EFFECTS))
def test_every_taint_that_kubernetes_takes_is_taken_and_read(key: str, value: str, effect: str) -> None:
    taint = NodeTaint(f"example.com/{key}", value, effect)
    assert problems(node_taints=[str(taint)]) == []
    assert NodeTaint.parse(str(taint)) == taint


@pytest.mark.parametrize(
    ("taint", "reason"),
    [
        ("example.com/gpu", EFFECT),
        ("example.com/gpu=yes", EFFECT),
        ("gpu=yes:noschedule", EFFECT),
        ("gpu=yes:NoSchedule-", EFFECT),
        ("=yes:NoSchedule", f"of its key '': {KEY}"),
        ("a=b=c:NoSchedule", f"of its value 'b=c': {VALUE}"),
        (
            "node-role.kubernetes.io/master:NoSchedule",
            "the setting masters_schedulable decides about this taint; set that one",
        ),
        (
            "node.kubernetes.io/not-ready:NoExecute",
            "Kubernetes sets and removes the taints of node.kubernetes.io itself; take it out",
        ),
    ],
)
def test_a_taint_that_cannot_be_is_refused(taint: str, reason: str) -> None:
    told = f"{reason[0].lower()}{reason[1:]}"
    assert problems(node_taints=[taint]) == [f": node_taints[0] is {taint!r}: {told}"]


def test_a_taint_is_there_once() -> None:
    assert problems(node_taints=["a=1:NoSchedule", "a:NoExecute", "a=2:NoSchedule"]) == [
        ": node_taints is ['a=1:NoSchedule', 'a:NoExecute', 'a=2:NoSchedule']: "
        "'a=1:NoSchedule' and 'a=2:NoSchedule' have the same key and effect; keep one of them"
    ]
