"""Whatever restarts a member that runs goes in turns: on machines that all have something to restart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from made_up import made_up_artifacts
from simulated import AWAITED, Machine, Project, Ran

# Component and operation, group, unit that runs from something else than the disk has, how it stands in the question.
ROLLS = {
    "etcd | healthy": ("etcd", "etcd.service", "/opt/etcd/bin/etcd"),
    "control plane | ready": ("master", "kube-scheduler.service", "/opt/kubernetes/bin/kube-scheduler"),
    "load balancer | healthy": ("lb", "keepalived.service", "''"),
    "docker | docker runs": ("node", "docker.service", "''"),
}
WIDTH = 3


def stale(unit: str, binary: str) -> dict[str, list[str]]:
    """A unit that must restart, and is healthy before and after."""
    states = ["ActiveState=active", "UnitFileState=enabled", "NeedDaemonReload=no", "recorded=was /x", "stale=/x"]
    return {f"one {unit} {binary}; if timeout": [f"unit={unit}", *states, "healthy=healthy", "healthy=recovers-0"]}


def machine(name: str, address: str, groups: str, **answers: object) -> Machine:
    """Its answers take a while, so that others may act meanwhile."""
    said = {key: lines for _, unit, binary in ROLLS.values() for key, lines in stale(unit, binary).items()}
    return Machine(name, address, groups, answers={**said, **answers}, data={"fake_delay": 0.02})


MACHINES = [
    *(machine(f"m{number}", f"192.168.80.2{number}", "master etcd") for number in (3, 1, 2)),
    *(machine(f"lb{number}", f"192.168.80.4{number}", "lb") for number in (2, 1)),
    *(machine(f"n{number}", f"192.168.80.5{number}", "node") for number in (7, 2, 5, 1, 4, 3, 6)),
]
SETTINGS: dict[str, Any] = {"virtual_ip": "192.168.80.100", "max_unavailable": WIDTH}


@dataclass(frozen=True)
class Happened:
    host: str
    begins: bool


def happened(ran: Ran, operation: str, unit: str, verb: str = "restart") -> Iterator[Happened]:
    """Of one operation: whose unit is restarted, and who has ended."""
    _, *parts = ran.err.split("--> Starting operation: ")
    (own,) = (part for part in parts if part.partition("\n")[0].strip() == operation)
    for line in own.splitlines():
        if began := re.search(rf"simulating command on @fake/(\S+): .*systemctl {verb} {unit}", line):
            yield Happened(began[1], True)
        elif ended := re.search(r"\[@fake/(\S+)\]\s+(Success|Error)", line):
            yield Happened(ended[1], False)


def most_at_once(events: Iterable[Happened]) -> int:
    away: set[str] = set()
    most = 0
    for event in events:
        away = away | {event.host} if event.begins else away - {event.host}
        most = max(most, len(away))
    return most


@pytest.fixture(scope="module")
def rolled(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    directory = tmp_path_factory.mktemp("rolled")
    settings = SETTINGS | made_up_artifacts(directory)
    return Project(directory / "controller").pyinfra(MACHINES, "-y", "--debug", "--parallel", "99", **settings)


@pytest.mark.parametrize("operation", ROLLS)
def test_members_restart_in_the_order_of_the_inventory_and_never_more_at_once_than_may(
    rolled: Ran, operation: str
) -> None:
    """One at a time, whatever max_unavailable says: that is about nodes."""
    assert rolled.code == 0, rolled.err
    group, unit, _ = ROLLS[operation]
    events = list(happened(rolled, operation, unit))
    most, began = most_at_once(events), [event.host for event in events if event.begins]
    in_order = [machine.name for machine in MACHINES if group in machine.groups.split()]
    assert most == (WIDTH if group == "node" else 1)
    assert sorted(began) == sorted(in_order)
    assert sorted(event.host for event in events if not event.begins) == sorted(in_order)
    assert most > 1 or began == in_order
    assert began[:1] == in_order[:1]


def test_after_one_that_does_not_come_back_no_other_is_restarted(project: Project) -> None:
    broken = machine("n5", "192.168.80.55", "node", **{"systemctl restart docker.service": {"success": False}})
    machines = [broken if one.name == "n5" else one for one in MACHINES]
    ran = project.pyinfra(machines, "-y", "--debug", file="tasks/docker.py", **SETTINGS)
    events = list(happened(ran, "docker | docker runs", "docker.service"))
    failed = events.index(Happened("n5", False))
    assert ran.code == 1
    assert [event for event in events[failed:] if event.begins] == [], "nobody begins after it"
    restarted = {event.host for event in events if event.begins}
    assert {"n7", "n2", "n5"} <= restarted
    assert len(restarted) <= 3 + WIDTH - 1
    left = {name for name in ("n1", "n4", "n3", "n6") if f"{name}: left as it is, as @fake/n5 has failed" in ran.err}
    assert left == {"n7", "n2", "n5", "n1", "n4", "n3", "n6"} - restarted


DOCKER = stale("docker.service", "''")
EXEMPT = {key: [*lines, "healthy=exempt"] for key, lines in DOCKER.items()}
ONE_MASTER = Machine("m1", "192.168.80.21", "master etcd")


def asked_about_others(ran: Ran) -> list[str]:
    """Who was asked whether the other nodes are Ready."""
    return re.findall(rf"simulating command on @fake/(\S+): .*{re.escape(AWAITED)}", ran.err)


@pytest.mark.parametrize("limit", [[], ["--limit", "node"]], ids=["all", "nodes"])
def test_a_node_that_restarts_has_a_master_asked_about_the_others(project: Project, limit: list[str]) -> None:
    """It may not see them itself. A run without any master connects to one."""
    machines = [ONE_MASTER, *(Machine(f"n{n}", f"192.168.80.5{n}", "node", answers=DOCKER) for n in (1, 2))]
    ran = project.pyinfra(machines, "-y", "--debug", *limit, file="tasks/docker.py")
    assert ran.code == 0, ran.err
    assert asked_about_others(ran) == ["m1", "m1"]


def test_a_node_does_not_restart_when_the_master_says_that_others_are_away(project: Project) -> None:
    away = "not Ready: 192.168.80.52"
    master = replace(ONE_MASTER, answers={AWAITED: ["no", "waited 60 s", away]})
    ran = project.pyinfra(
        [master, Machine("n1", "192.168.80.51", "node", answers=DOCKER)], "-y", "--debug", file="tasks/docker.py"
    )
    (told,) = [one.command for one in project.sent if one.operation.endswith("units.converge")]
    assert away in told and "exit 1" in told, "which fails the host; a simulated one takes it for done"
    assert not [event for event in happened(ran, "docker | docker runs", "docker.service") if event.begins]


def test_a_node_of_no_cluster_yet_restarts_without_asking(project: Project) -> None:
    machines = [ONE_MASTER, Machine("n1", "192.168.80.51", "node", answers=EXEMPT)]
    ran = project.pyinfra(machines, "-y", "--debug", file="tasks/docker.py")
    assert (ran.code, asked_about_others(ran)) == (0, []), ran.err


def test_a_pool_that_is_smaller_than_the_wave_ends_too(project: Project) -> None:
    """Then those that wait may be all that pyinfra works on at a time."""
    ran = project.pyinfra(MACHINES, "-y", "--debug", "--parallel", "2", file="tasks/docker.py", **SETTINGS)
    assert ran.code == 0, ran.err
    began = [event.host for event in happened(ran, "docker | docker runs", "docker.service") if event.begins]
    assert sorted(began) == sorted(one.name for one in MACHINES if one.groups == "node")


def test_a_machine_has_as_many_operations_however_many_there_are(project: Project) -> None:
    few, many = (project.plan(MACHINES[:size], **SETTINGS).names for size in (6, len(MACHINES)))
    assert few == many


KUBE_PROXY = "one kube-proxy.service /opt/kubernetes/bin/kube-proxy; if timeout"
MODE = "node | registered"


def node(name: str, address: str, *holds: str) -> Machine:
    """A node whose kubelet and kube-proxy are from something else than the disk has; `holds`: what is true there."""
    states = ["ActiveState=active", "UnitFileState=enabled", "NeedDaemonReload=no", "recorded=was /x", "stale=/x"]
    lines = [line for unit in ("kubelet", "kube-proxy") for line in (f"unit={unit}.service", *states)]
    holding = [f"healthy={word}" for word in ("healthy", "awaited", *holds)]
    return Machine(name, address, "node", answers={KUBE_PROXY: [*lines, *holding]}, data={"fake_delay": 0.02})


def numbered(number: int, *holds: str) -> Machine:
    return node(f"n{number}", f"192.168.80.5{number}", *holds).joined()


OTHER_MODE = "demand-1"
MASTER = Machine("m1", "192.168.80.10", "master etcd")
CHANGING = [MASTER, *(numbered(number, OTHER_MODE) for number in (3, 1, 2)), numbered(5), numbered(4)]
TWO_AT_A_TIME: dict[str, Any] = {"max_unavailable": 2}


def of_nodes(ran: Ran, verb: str) -> list[Happened]:
    assert ran.code == 0, ran.err
    return [event for event in happened(ran, MODE, "kube-proxy.service", verb) if event.host.startswith("n")]


def test_nodes_that_serve_restart_in_waves(tmp_path: Path) -> None:
    """As with a new patch: one whose kubelet does not start is one of a few."""
    machines = [MASTER, *(numbered(number) for number in (3, 1, 2, 5, 4))]
    settings = TWO_AT_A_TIME | made_up_artifacts(tmp_path)
    events = of_nodes(Project(tmp_path / "controller").pyinfra(machines, "-y", "--debug", **settings), "restart")
    assert [event.host for event in events if event.begins][:1] == ["n3"]
    assert (len(events), most_at_once(events)) == (10, 2)


def test_after_a_node_that_does_not_start_no_other_restarts(tmp_path: Path) -> None:
    broken = numbered(1)
    broken = replace(broken, answers={**broken.answers, "systemctl restart kubelet": {"success": False}})
    machines = [MASTER, numbered(3), broken, numbered(2)]
    ran = Project(tmp_path / "controller").pyinfra(machines, "-y", "--debug", **made_up_artifacts(tmp_path))
    assert ran.code == 1
    began = [event.host for event in happened(ran, MODE, "kubelet.service") if event.begins]
    assert began == ["n3", "n1"]
    assert "n2: left as it is, as @fake/n1 has failed" in ran.err


def test_nodes_that_join_wait_for_nobody(tmp_path: Path) -> None:
    machines = [MASTER, *(node(f"n{number}", f"192.168.80.5{number}") for number in (3, 1, 2))]
    ran = Project(tmp_path / "controller").pyinfra(machines, "-y", "--debug", **made_up_artifacts(tmp_path))
    assert most_at_once(of_nodes(ran, "restart")) == 3


def test_nodes_change_kube_proxys_mode_one_at_a_time(tmp_path: Path) -> None:
    """Connections break, so however many may restart."""
    settings = TWO_AT_A_TIME | made_up_artifacts(tmp_path)
    events = of_nodes(Project(tmp_path / "controller").pyinfra(CHANGING, "-y", "--debug", **settings), "stop")
    changing = [event for event in events if event.host in ("n1", "n2", "n3")]
    assert [event.host for event in changing] == ["n3", "n3", "n1", "n1", "n2", "n2"], "each begins and ends"
    assert [event.begins for event in events if event.host in ("n4", "n5")] == [False, False]


def test_after_a_node_whose_mode_does_not_change_the_others_keep_theirs(tmp_path: Path) -> None:
    broken = replace(CHANGING[1], answers={**CHANGING[1].answers, "systemctl stop kube-proxy": {"success": False}})
    machines = [MASTER, broken, *CHANGING[2:]]
    ran = Project(tmp_path / "controller").pyinfra(machines, "-y", "--debug", **made_up_artifacts(tmp_path))
    assert ran.code == 1
    began = [event.host for event in happened(ran, MODE, "kube-proxy.service", "stop") if event.begins]
    assert began == ["n3"]
    assert "n1: left as it is, as @fake/n3 has failed" in ran.err


def test_a_plan_says_why_kube_proxy_is_stopped(project: Project) -> None:
    ran = project.plan(CHANGING, kube_proxy_mode="iptables")
    told = "restart kube-proxy.service: kube-ipvs0, which mode ipvs has left with its virtual servers, goes before"
    assert {name: any(line.startswith(told) for line in ran.said(name)) for name in ("n3", "n5")} == {
        "n3": True,
        "n5": False,
    }
