"""What restarts on the nodes when etcd is put back to a snapshot: all that watches, or nothing but what has to."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from simulated import Project, Ran, guide

CONTENT = bytes(range(256)) * 2
JOINED_LATER = "node02"
THERE = {"! { [ -s ": ["yes"]}  # what a node says whose Node is not gone
NODES = [machine.name for machine in guide() if "node" in machine.groups]


def restored(directory: Path, **settings: object) -> tuple[Project, Ran]:
    """A restore on machines of which one has no Node in the snapshot."""
    project, snapshot = Project(directory), directory / "snapshot.db"
    snapshot.write_bytes(CONTENT + sha256(CONTENT).digest())
    options = ["--data", f"snapshot={snapshot}", "--data", "confirm=kubernetes"]
    machines = [one if one.name == JOINED_LATER else replace(one, answers=THERE) for one in guide()]
    ran = project.pyinfra(machines, "-y", "-v", *options, file="day2/restore.py", **settings)
    assert ran.code == 0, ran.err[-3000:]
    return project, ran


def done(project: Project, machine: str) -> list[str]:
    """What is done once the API is back, from the first command to the last."""
    return [
        one.command
        for one in project.sent
        if one.machine == f"@fake/{machine}" and one.operation == "kubeinfra.operations.gates.once"
    ]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    return restored(tmp_path_factory.mktemp("old"), kubernetes_version="1.20.15", etcd_version="3.4.26")


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    return restored(tmp_path_factory.mktemp("new"), kubernetes_version="1.37.2")


def test_where_revisions_go_back_all_that_watches_restarts(old: tuple[Project, Ran]) -> None:
    project, ran = old
    sentence = "restart kubelet, kube-proxy, flannel, CoreDNS and metrics-server"
    for name in NODES:
        restart, *_ = done(project, name)
        assert "systemctl restart kubelet.service kube-proxy.service;" in restart
        assert "for name in kube-flannel coredns metrics-server;" in restart
        assert sentence in ran.said(name)


def test_where_they_go_on_a_kubelet_restarts_only_if_the_snapshot_has_no_node_of_it(new: tuple[Project, Ran]) -> None:
    project, ran = new
    note, restart = "sh -c 'touch /run/kubeinfra/api-is-back'", "sh -c 'systemctl restart kubelet.service'"
    for name in NODES:
        theirs = [command for command in done(project, name) if command in (note, restart)]
        assert theirs == ([note, restart] if name == JOINED_LATER else [note])
        told = "restart kubelet.service: its Node is gone, and it registers only when it starts" in ran.said(name)
        assert told is (name == JOINED_LATER)
    assert not [one.command for one in project.sent if "restart kubelet.service kube-proxy" in one.command]


def test_a_node_is_asked_whether_its_node_is_gone_once_the_api_answers_it(new: tuple[Project, Ran]) -> None:
    project, _ = new
    own = [one.command for one in project.sent if one.machine == f"@fake/{JOINED_LATER}"]
    waits = [at for at, command in enumerate(own) if "waited 120 s until the API says whether it has node" in command]
    asks = [at for at, command in enumerate(own) if "! { [ -s " in command]
    assert waits and asks and waits[-1] < asks[-1]
