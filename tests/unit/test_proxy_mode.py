"""Which mode kube-proxy has on a node: by release, kernel, ip_vs and nft; and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cluster_samples import SEEN, cluster, here, problems

from kubeinfra.checks.base import Seen
from kubeinfra.checks.catalogue import findings
from kubeinfra.components import host
from kubeinfra.components.proxy_mode import proxy_mode
from kubeinfra.machine.software import Software
from kubeinfra.machine.state import MachineState
from kubeinfra.machine.survey import survey


def machine(
    kernel: str = "6.1.0-18-amd64", nft: str = "1.0.6", ip_vs: str = "yes", version: str = "12"
) -> MachineState:
    """A Debian machine; nft: "" where it is not installed."""
    lines = [f"kernel {kernel}", f"ip-vs {ip_vs}", *([f"nft-version nftables v{nft} (Lester Gooch #5)"] if nft else [])]
    said = survey(f"survey {line}" for line in lines)
    return replace(SEEN, keeps_time=True, survey=said, software=Software(version=version))


# Release, machine -> its mode, and the note about it.
DEFAULTS: list[tuple[str, dict[str, str], str, str]] = [
    ("1.20.15", {}, "ipvs", ""),
    ("1.25.16", {"ip_vs": "no"}, "ipvs", ""),  # kube-proxy falls back by itself, and a note of the run says so
    ("1.26.15", {}, "ipvs", ""),
    ("1.26.15", {"ip_vs": "no"}, "iptables", "mode iptables here, not ipvs: its kernel, 6.1.0-18-amd64, has no module"),
    ("1.32.13", {}, "ipvs", ""),
    ("1.33.13", {}, "nftables", ""),
    ("1.37.2", {"kernel": "5.13.0"}, "nftables", ""),
    ("1.37.2", {"kernel": "5.14.0-427.el9"}, "nftables", ""),
    (
        "1.37.2",
        {"kernel": "5.10.0-30-amd64"},
        "ipvs",
        "mode ipvs here, not nftables: its kernel is 5.10.0-30-amd64, and",
    ),
    (
        "1.37.2",
        {"kernel": "4.18.0", "ip_vs": "no"},
        "iptables",
        "mode iptables here, not nftables or ipvs: its kernel is",
    ),
    ("1.37.2", {"kernel": ""}, "ipvs", "mode ipvs here, not nftables: its kernel is unknown"),
    ("1.37.2", {"nft": "1.0.1"}, "nftables", ""),
    ("1.37.2", {"nft": "1.1"}, "nftables", ""),
    ("1.37.2", {"nft": "0.9.8"}, "ipvs", "mode ipvs here, not nftables: its nft is 0.9.8, and nftables needs 1.0.1"),
    ("1.37.2", {"nft": "next"}, "ipvs", "mode ipvs here, not nftables: its nft is of an unknown version"),
    ("1.37.2", {"nft": ""}, "nftables", ""),  # the package brings it
    (
        "1.37.2",
        {"nft": "", "version": "11"},
        "ipvs",
        "mode ipvs here, not nftables: its distribution has no nft that is",
    ),
]


def of(release: str, has: dict[str, str], **values: Any) -> tuple[str, list[str]]:
    found, seen = cluster(kubernetes_version=release, **values), machine(**has)
    every = findings(Seen(found, {"m1": seen, "n1": seen}))
    told = [f"{one.level} {one.sentence()}" for one in every if one.check == "kube-proxy-mode"]
    return proxy_mode(found, found.machine("n1"), seen), told


@pytest.mark.parametrize(("release", "has", "mode", "note"), DEFAULTS)
def test_a_node_has_the_best_mode_that_its_kernel_and_nft_allow(
    release: str, has: dict[str, str], mode: str, note: str
) -> None:
    found, told = of(release, has)
    assert found == mode
    assert len(told) == bool(note), "only of nodes, and only where it is not what others have"
    assert all(one.startswith(f"note n1: kube-proxy is in {note}") for one in told)


REFUSED = [
    ("1.30.14", "ipvs", {"ip_vs": "no"}, "has no module ip_vs; install the kernel's package that has it"),
    ("1.37.2", "ipvs", {"ip_vs": "no"}, "has no module ip_vs; install the kernel's package that has it"),
    (
        "1.33.13",
        "nftables",
        {"kernel": "4.18.0-553"},
        "its kernel is 4.18.0-553, and nftables needs 5.13 or newer; take",
    ),
    ("1.31.14", "nftables", {"nft": "0.9.8"}, "its nft is 0.9.8, and nftables needs 1.0.1 or newer; take"),
]


@pytest.mark.parametrize(("release", "asked", "has", "told"), REFUSED)
def test_a_mode_with_which_kube_proxy_would_not_start_is_refused(
    release: str, asked: str, has: dict[str, str], told: str
) -> None:
    _, errors = of(release, has, kube_proxy_mode=asked)
    (error,) = errors
    assert error.startswith(f"error n1: kube-proxy would not start with kube_proxy_mode {asked}: ")
    assert told in error
    assert f"then this node has mode {of(release, has)[0]}" in error


@pytest.mark.parametrize(
    ("release", "asked", "has"),
    [
        ("1.25.16", "ipvs", {"ip_vs": "no"}),
        ("1.31.14", "nftables", {}),
        ("1.37.2", "iptables", {"kernel": "4.18.0", "ip_vs": "no", "nft": ""}),
    ],
)
def test_a_mode_that_works_is_taken_as_it_was_asked_for(release: str, asked: str, has: dict[str, str]) -> None:
    assert of(release, has, kube_proxy_mode=asked) == (asked, [])


@pytest.mark.parametrize(("release", "is_refused"), [("1.20.15", True), ("1.30.14", True), ("1.31.14", False)])
def test_nftables_is_refused_before_it_is_beta(release: str, is_refused: bool) -> None:
    told = problems(kubernetes_version=release, kube_proxy_mode="nftables")
    wanted = (
        "group_data/all.py: kube_proxy_mode is nftables, which kube-proxy has from Kubernetes 1.31 on, and "
        f"kubernetes_version is {release}: take ipvs or iptables"
    )
    assert list(told) == ([wanted] if is_refused else [])


def test_two_nodes_of_one_cluster_may_have_two_modes() -> None:
    found = cluster(kubernetes_version="1.37.2")
    modes = [
        proxy_mode(found, node, machine(kernel)) for node, kernel in zip(found.nodes, ("4.18.0", "6.1.0"), strict=True)
    ]
    assert modes == ["ipvs", "nftables"]


@pytest.mark.parametrize(("kernel", "ipvs", "nftables"), [("5.10.0", True, False), ("6.1.0", False, True)])
def test_a_node_gets_what_its_own_mode_needs(kernel: str, ipvs: bool, nftables: bool) -> None:
    node = here(cluster(kubernetes_version="1.37.2"), "n1", machine(kernel))
    assert (host.uses_ipvs(node), host.uses_nftables(node)) == (ipvs, nftables)
