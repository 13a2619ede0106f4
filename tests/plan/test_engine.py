"""Which engine load balancers get, and how one takes the other's place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from simulated import DEBIAN, RED_HAT, Machine, Project

HAPROXY = {"virtual_ip": "192.168.80.100", "load_balancer_engine": "haproxy"}
TASK = {"file": "tasks/load_balancer.py"}
RUNS = ["ActiveState=active", "UnitFileState=enabled", "NeedDaemonReload=no", "recorded=is /x"]
NGINX_RUNS = [
    *("unit=nginx.service", *RUNS),
    *("unit=haproxy.service", "ActiveState=inactive", "UnitFileState=disabled", "NeedDaemonReload=no"),
    *("unit=keepalived.service", *RUNS),
]


def machines(says: dict[str, str] = DEBIAN, answers: dict[str, Any] | None = None) -> list[Machine]:
    balancer = Machine("lb1", "192.168.80.41", "lb", says=says, answers=answers or {})
    return [
        Machine("m1", "192.168.80.21", "master etcd", says=says),
        balancer,
        replace(balancer, name="lb2", address="192.168.80.42"),
        Machine("n1", "192.168.80.51", "node", says=says),
    ]


@pytest.mark.parametrize("says", [DEBIAN, RED_HAT], ids=["debian", "redhat"])
def test_a_bare_machine_gets_the_one_that_is_set_and_no_other(project: Project, says: dict[str, str]) -> None:
    said = project.plan(machines(says), "--limit", "lb", **TASK, **HAPROXY).said("lb1")
    wanted = {
        "install packages haproxy keepalived",
        "write /etc/haproxy/haproxy.cfg",
        "enable haproxy.service",
        "start haproxy.service",
        "start keepalived.service",
    }
    assert wanted <= set(said)
    assert not [sentence for sentence in said if "nginx" in sentence]


def test_the_plan_of_a_change_says_what_stops(project: Project) -> None:
    changing = machines(answers={"one haproxy.service ''": NGINX_RUNS})
    said = project.plan(changing, "--limit", "lb", **TASK, **HAPROXY).said("lb1")
    steps = [sentence for sentence in said if sentence.startswith(("stop ", "enable ", "start ", "restart "))]
    assert steps == [
        "stop nginx.service: haproxy.service takes its place",
        "enable haproxy.service",
        "start haproxy.service",
        "start keepalived.service",
    ]


def test_it_goes_from_one_load_balancer_to_the_next(project: Project) -> None:
    """Nothing is started next to the engine that runs: only when its turn comes does each give the address away."""
    changing = machines(answers={"one haproxy.service ''": [*NGINX_RUNS, "healthy=healthy"]})
    ran = project.pyinfra(changing, "-y", "--debug", "--limit", "lb", **TASK, **HAPROXY)
    assert ran.code == 0, ran.err[-3000:]
    sent = [one for one in project.sent if one.operation and "systemctl" in one.command and "haproxy" in one.command]
    started = [one.operation for one in sent if "systemctl start haproxy.service" in one.command]
    assert started == ["kubeinfra.operations.units.converge"] * 2
    (first, second) = (one.command for one in sent if "disable --quiet nginx.service" in one.command)
    assert first == second
    order = ["stop keepalived", "stop nginx", "enable --quiet haproxy", "start haproxy", "start keepalived"]
    assert sorted(order, key=first.index) == order
