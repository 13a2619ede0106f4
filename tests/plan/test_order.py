"""The order of components and barriers, and who takes part, read back from what the command line did."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from simulated import ROOT, Project, Ran, guide

GOLDEN = Path(__file__).with_name("guide.txt")
EVERYBODY = tuple(sorted(machine.name for machine in guide()))


def members(group: str) -> tuple[str, ...]:
    return tuple(sorted(machine.name for machine in guide() if group in machine.groups.split()))


def test_the_operations_of_the_guides_cluster_are_these(guide_run: tuple[Project, Ran], tmp_path: Path) -> None:
    """In this order, each with the hosts that take part in it."""
    _, ran = guide_run
    found = "".join(f"{operation.name}: {' '.join(operation.hosts)}\n" for operation in ran.operations)
    (tmp_path / "guide.txt").write_text(found)
    assert found == GOLDEN.read_text(), f"if this is what you want: cp {tmp_path}/guide.txt {GOLDEN}"


def test_all_hosts_meet_at_each_barrier_in_the_order_of_deploy_py(guide_run: tuple[Project, Ran]) -> None:
    written = re.findall(r'^barrier\(name="(.*)"\)$', (ROOT / "deploy.py").read_text(), flags=re.MULTILINE)
    _, ran = guide_run
    met = [operation for operation in ran.operations if operation.name.startswith("--- ")]
    assert [operation.name for operation in met] == written
    assert {operation.hosts for operation in met} == {EVERYBODY}


def test_between_two_barriers_are_only_the_components_that_deploy_py_has_there(guide_run: tuple[Project, Ran]) -> None:
    """pyinfra keeps the order of lines only among operations that hosts share; the barriers are those."""
    text = (ROOT / "deploy.py").read_text()
    words = {"addons": "add-ons", "control_plane": "control plane", "node_objects": "node objects"}
    words["load_balancer"] = "load balancer"
    of_later_releases = {"containerd.containerd", "nftables.nftables", "addons.metrics_gate"}
    written = []
    for part in text[text.index("artifacts.fetch()") :].split("barrier("):
        calls = set(re.findall(r"^(\w+\.\w+)\(", part, flags=re.MULTILINE)) - of_later_releases
        modules = {call.partition(".")[0] for call in calls}
        written.append({words.get(module, module) for module in modules})
    _, ran = guide_run
    found: list[set[str]] = [set()]
    for name in ran.names:
        if name.startswith("--- "):
            found.append(set())
        elif not name.startswith("preflight"):
            found[-1].add(name.split(" | ")[0])
    assert found == written


def test_a_plan_has_the_operations_of_the_run(guide_run: tuple[Project, Ran], guide_plan: Ran) -> None:
    _, ran = guide_run
    assert guide_plan.names == ran.names


@pytest.mark.parametrize(
    ("operation", "hosts"),
    [
        ("host | files", EVERYBODY),
        ("etcd | files", members("etcd")),
        ("etcd | start", members("etcd")),
        ("control plane | files", members("master")),
        ("control plane | CAs", members("master")[:1]),
        ("load balancer | start", members("lb")),
        ("docker | start", members("node")),
        ("ipvs | modules", members("node")),
        ("node | start", members("node")),
        ("network | flannel", members("master")[:1]),
        ("add-ons | CoreDNS", members("master")[:1]),
        ("verify | health", EVERYBODY),
        ("verify | traffic", members("master")[:1]),
    ],
)
def test_an_operation_is_for_its_own_hosts(
    guide_run: tuple[Project, Ran], operation: str, hosts: tuple[str, ...]
) -> None:
    assert guide_run[1].hosts(operation) == hosts


@pytest.mark.parametrize(
    ("operation", "group"),
    [("etcd | healthy", "etcd"), ("control plane | ready", "master"), ("load balancer | healthy", "lb")],
)
def test_what_may_restart_a_member_is_one_operation_of_all_members(
    guide_run: tuple[Project, Ran], operation: str, group: str
) -> None:
    """In which they take turns: tests/plan/test_rolling.py."""
    assert guide_run[1].hosts(operation) == members(group)


def test_each_operation_has_a_name_of_its_own(guide_run: tuple[Project, Ran]) -> None:
    """pyinfra shows all arguments of one without: commands, contents, perhaps secrets."""
    assert [one.name for one in guide_run[1].operations if one.args or "kubeinfra" in one.name.split(" | ")[0]] == []


def test_a_step_that_changes_nothing_on_any_machine_comes_before_all_others(guide_run: tuple[Project, Ran]) -> None:
    """Binaries that cannot be had end the run while the machines are as they were."""
    first = ["preflight | no other run is at work", "artifacts | releases at hand", "--- releases are at hand"]
    assert guide_run[1].names[:3] == first


def test_metrics_server_is_applied_once_and_every_master_waits_for_it_last(project: Project) -> None:
    plan = project.plan(guide(), metrics_server=True)
    assert plan.hosts("add-ons | metrics-server") == members("master")[:1]
    gate = "add-ons | nodes measured"
    assert plan.hosts(gate) == members("master")
    assert plan.names.index("add-ons | metrics-server") < plan.names.index("verify | traffic") < plan.names.index(gate)
