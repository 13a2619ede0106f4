"""An API server that restarts has left the load balancers before, and comes back when it is ready."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up import made_up_artifacts
from simulated import Machine, Project, Ran

RUNS = ["ActiveState=active", "UnitFileState=enabled", "NeedDaemonReload=no"]
STALE = ["unit=kube-apiserver.service", *RUNS, "recorded=was /x", "stale=/x"]
CURRENT = ["unit=kube-apiserver.service", *RUNS, "recorded=is /x"]
Answers = dict[str, Any]


def engine(name: str) -> Answers:
    """A load balancer on which this one runs, as it shall."""
    return {f"one {name}.service ''": [f"unit={name}.service", *RUNS]}


def machines(first: list[str], second: list[str], balancer: Answers) -> list[Machine]:
    """Two masters whose API servers are in these states, and two load balancers."""
    server = "one kube-apiserver.service /opt/kubernetes/bin/kube-apiserver"
    return [
        Machine("m1", "192.168.80.21", "master etcd", answers={server: first}),
        Machine("m2", "192.168.80.22", "master", answers={server: second}),
        Machine("lb1", "192.168.80.41", "lb", answers=balancer),
        Machine("lb2", "192.168.80.42", "lb", answers=balancer),
        Machine("n1", "192.168.80.51", "node"),
    ]


Run = Callable[..., Ran]


@pytest.fixture
def run(project: Project, tmp_path: Path) -> Run:
    settings = {"virtual_ip": "192.168.80.100", **made_up_artifacts(tmp_path)}

    def run(machines: list[Machine], *arguments: str, **further: object) -> Ran:
        options = arguments or ("-y", "--debug")
        return project.pyinfra(machines, *options, file="tasks/control_plane.py", **settings, **further)

    return run


def happened(project: Project) -> list[str]:
    """Of what changes machines, in order: whom load balancers leave out when they reload, and who restarts."""
    found, out = [], "nobody"
    for sent in project.sent:
        if sent.operation.endswith("leaving.pass_on"):
            texts = [b64decode(line.split(" ")[3]).decode() for line in sent.stdin if line.startswith("checked ")]
            for text in texts:
                away = re.findall(r"server (?:\S+ )?192.168.80.2(\d):6443 .*(?: down;| disabled)$", text, re.MULTILINE)
                out = " ".join(f"m{number}" for number in away) or "nobody"
            if "systemctl reload " in sent.command:
                found.append(f"without {out}")
        elif sent.operation.endswith("leaving.restart_apart") and "systemctl restart" in sent.command:
            found.append("restart")
        elif sent.operation.endswith("leaving.may_leave"):
            found.append("others are ready")
    return found


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
def test_each_leaves_before_its_restart_and_comes_back_after_it(project: Project, run: Run, name: str) -> None:
    ran = run(machines(STALE, STALE, engine(name)), load_balancer_engine=name)
    assert ran.code == 0, ran.err[-3000:]
    both = 2  # load balancers
    assert happened(project) == [
        "others are ready",
        *["without m1"] * both,
        "restart",
        "others are ready",
        *["without m2"] * both,
        "restart",
        *["without nobody"] * both,
    ]


def test_one_that_need_not_restart_stays_in(project: Project, run: Run) -> None:
    assert run(machines(CURRENT, STALE, engine("nginx"))).code == 0
    assert [one for one in happened(project) if one == "without m1"] == []
    assert "without m2" in happened(project)


def test_nothing_is_asked_or_done_where_no_api_server_restarts(project: Project, run: Run) -> None:
    assert run(machines(CURRENT, CURRENT, engine("nginx"))).code == 0
    assert happened(project) == []
    asked = [sent for sent in project.sent if "one nginx.service ''" in sent.command]
    assert asked == [], "load balancers should not even be asked"


def test_an_engine_that_does_not_run_is_left_alone(project: Project, run: Run) -> None:
    assert run(machines(STALE, STALE, {})).code == 0
    assert [one for one in happened(project) if one.startswith("without")] == []


def test_when_one_does_not_come_back_no_other_leaves(project: Project, run: Run) -> None:
    first, *others = machines(STALE, STALE, engine("nginx"))
    broken = Machine(
        first.name,
        first.address,
        first.groups,
        answers={**first.answers, "systemctl restart kube-apiserver.service": {"success": False}},
    )
    assert run([broken, *others]).code == 1
    assert "without m2" not in happened(project)


def test_without_the_load_balancers_in_the_run_a_note_says_so(project: Project, run: Run) -> None:
    ran = run(machines(STALE, CURRENT, engine("nginx")), "-y", "--debug", "--limit", "master")
    assert ran.code == 0, ran.err[-3000:]
    assert "take no part in this run, and send clients here while the API server restarts" in ran.err + ran.out


def test_a_plan_says_it_and_does_nothing(project: Project, run: Run) -> None:
    ran = run(machines(STALE, [], engine("nginx")), "--dry", "--json", "-v")
    assert "leave the load balancers until the API server is ready again" in ran.said("m1")
    assert "leave the load balancers until the API server is ready again" not in ran.said("m2"), "it does not run"
    assert happened(project) == []
