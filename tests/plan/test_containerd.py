"""A cluster whose nodes run containerd: where it comes from, what of it comes when, and what a second run finds."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up import made_up_artifacts
from simulated import DEBIAN, RED_HAT, Project, Ran, guide

from tests.unit.shell_check import findings

NEWEST = "1.37.2"
TASK = {"file": "tasks/containerd.py"}
CE = {"kubernetes_version": NEWEST, "containerd_source": "docker-ce", "docker_repository": "https://a/ce"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    """A whole run on the guide's bare machines, with the newest release."""
    directory = tmp_path_factory.mktemp("containerd")
    project = Project(directory)
    settings: dict[str, Any] = {
        **made_up_artifacts(directory, NEWEST),
        "kubernetes_version": NEWEST,
        "registry_mirrors": {"docker.io": ["https://hub.example.com"]},
        "runtime_proxy": {"https_proxy": "http://me:hunter2@p.example.com:3128"},
    }
    return project, project.pyinfra(guide(), "-y", "--json", "--debug", "-vvv", **settings)


def test_it_comes_in_dockers_place(run: tuple[Project, Ran]) -> None:
    _, ran = run
    nodes = ("node01", "node02")
    steps = [name for name in ran.names if name.startswith(("containerd | ", "docker | "))]
    assert steps == ["containerd | files", "containerd | start", "containerd | containerd runs"]
    assert {ran.hosts(name) for name in steps} == {nodes}
    order = ["artifacts | binaries", *steps, "node | images", "node | files"]
    at = [max(at for at, one in enumerate(ran.names) if one == name) for name in order]
    assert at == sorted(at)


def test_all_that_it_needs_is_put_there(run: tuple[Project, Ran]) -> None:
    project, _ = run
    sent = [one for one in project.sent if one.operation]
    placed = " ".join(one.command for one in sent)
    for name in ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "crictl"):
        assert f"/opt/containerd/bin/.{name}." in placed, name
    written = {line.split(" ")[1] for one in sent for line in one.stdin if line.startswith(("file ", "checked"))}
    assert {
        "/etc/containerd/config.toml",
        "/etc/containerd/certs.d/docker.io/hosts.toml",
        "/etc/crictl.yaml",
        "/etc/systemd/system/containerd.service",
        "/etc/systemd/system/containerd.service.d/kubeinfra-proxy.env",
    } <= written
    assert not [path for path in written if "docker" in path.replace("docker.io", "")]


def test_the_proxys_password_is_told_to_nobody(run: tuple[Project, Ran]) -> None:
    project, ran = run
    _, _, said = ran.err.partition("--> Connecting to hosts")  # with --debug pyinfra itself shows group data before
    assert said
    assert "hunter2" not in said + ran.out
    assert not [one for one in project.sent if "hunter2" in one.command]


def test_an_image_that_came_as_a_tar_is_imported(run: tuple[Project, Ran]) -> None:
    project, _ = run
    assert [one for one in project.sent if one.operation and "images import" in one.command]


def test_all_of_its_shell_is_sound(run: tuple[Project, Ran], tmp_path: Path) -> None:
    project, _ = run
    mine = {one.command for one in project.sent if re.search(r"containerd|\bctr\b", one.command)}
    assert len(mine) >= 5
    found = findings(sorted(mine), tmp_path)
    assert not found, "\n".join(found)


def test_a_machine_without_crictl_is_wanted_or_not(project: Project) -> None:
    ran = project.plan(guide(), "--limit", "node", **TASK, kubernetes_version=NEWEST, crictl=False)
    assert not [one for one in ran.said("node01") if "crictl" in one]
    assert [one for one in ran.said("node01") if one.startswith("put /opt/containerd/bin/runc ")]


@pytest.mark.parametrize("says", [DEBIAN, RED_HAT], ids=["debian", "redhat"])
def test_dockers_package_is_taken_where_it_is_wanted(project: Project, says: dict[str, str], tmp_path: Path) -> None:
    lacks = {"for name in containerd.io;": ["containerd.io"]}
    machines = [replace(machine, says=says, answers=lacks) for machine in guide()]
    ran = project.pyinfra(machines, "-y", "-v", "--limit", "node", **TASK, **CE, crictl=False)
    assert ran.code == 0, ran.err[-3000:]
    assert any(one.startswith("install containerd.io below 3.0 from https://a/ce/linux/") for one in ran.said("node01"))
    (script, *_) = [one.command for one in project.sent if "has no $name" in one.command]
    assert "n[1] * 1000 + n[2] >= 2002" in script
    assert ("preferences.d/kubeinfra-containerd" in script) is (says is DEBIAN)
    assert not findings([script], tmp_path)
    assert any("containerd.service.d/kubeinfra.conf" in one for one in ran.said("node01"))
    assert not [one for one in ran.said("node01") if one.startswith("put ")]


def test_the_distributions_own_is_taken_where_it_is_wanted(project: Project) -> None:
    lacks = {"for name in containerd;": ["containerd"]}
    machines = [replace(machine, answers=lacks) for machine in guide()]
    source = {"kubernetes_version": "1.30.14", "containerd_source": "distribution"}
    ran = project.plan(machines, "--limit", "node", **TASK, **source)
    assert "install packages containerd" in ran.said("node01")


def test_red_hats_have_none_of_their_own(project: Project) -> None:
    machines = [replace(machine, says=RED_HAT) for machine in guide()]
    ran = project.plan(machines, kubernetes_version=NEWEST, containerd_source="distribution")
    assert ran.message == [
        "node01, node02: Rocky Linux has no containerd of its own; take containerd_source out of group_data/all.py, "
        'and upstream\'s comes, or set it to "docker-ce"'
    ]


def test_one_that_is_there_already_stays(project: Project) -> None:
    says = {**DEBIAN, "containerd": "2.2.1", "containerd-path": "/usr/bin/containerd", "containerd-package": "mine"}
    having = [replace(machine, says=says) for machine in guide()]
    said = project.plan(having, "--limit", "node", **TASK, **CE).said("node01")
    assert "note: containerd 2.2 is there and stays (mine)" in said
    assert not [sentence for sentence in said if sentence.startswith("install")]


def test_one_that_has_containers_is_not_pushed_out(project: Project) -> None:
    says = {**DEBIAN, "containerd": "1.6.20", "containerd-package": "containerd", "containerd-used": "yes"}
    having = [replace(machine, says={**says, "containerd-path": "/usr/bin/containerd"}) for machine in guide()]
    ran = project.pyinfra(having, "-y", kubernetes_version=NEWEST)
    assert ran.message == [
        "node01, node02: containerd 1.6 of package containerd has containers; and the deploy's own would take its "
        "place, as the unit has the same name: remove it if nobody needs them, or let Kubernetes use it too: "
        'containerd_source = "distribution"'
    ]
    assert not [one for one in project.sent if one.operation]


RUNS = [
    "unit=containerd.service",
    *("ActiveState=active", "UnitFileState=enabled", "NeedDaemonReload=no"),
    f"recorded={'0' * 64} /etc/containerd/config.toml",
    "stale=/etc/containerd/config.toml",
    "healthy=healthy",
]


def test_a_restart_waits_for_no_pods(project: Project) -> None:
    having = [replace(machine, answers={"one containerd.service": RUNS}) for machine in guide()]
    ran = project.pyinfra(having, "-y", "-v", "--limit", "node", **TASK, **CE, crictl=False)
    assert ran.code == 0, ran.err[-3000:]
    sent = [one.command for one in project.sent if one.operation.endswith("units.converge")]
    assert [one for one in sent if "systemctl restart containerd.service" in one]
    assert not [one for one in sent if "pods?" in one or "flanneld" in one]
