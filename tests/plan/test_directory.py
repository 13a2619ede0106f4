"""The controller's directory: of which cluster it is, and an older one brought to today's form, by the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from simulated import Machine, Project, Ran

from kubeinfra.controller.directory import COMMON_NAMES, ControllerDirectory

M1 = Machine("m1", "192.168.80.10", "master etcd node")
N1 = Machine("n1", "192.168.80.12", "node")
OTHERS = [Machine("a1", "192.168.80.40", "master etcd node"), Machine("a2", "192.168.80.41", "node")]
HOST = "tasks/host.py"


@pytest.fixture
def directory(project: Project) -> Path:
    """Of a cluster of one master, with CAs."""
    found = project.directory / ".kubeinfra" / "kubernetes"
    for name in COMMON_NAMES:
        ControllerDirectory(found).create_ca(name, 10)
    return found


def run(project: Project, machines: Iterable[Machine]) -> Ran:
    return project.pyinfra(machines, "-y", file=HOST)


def known(directory: Path) -> list[str]:
    machines = json.loads((directory / "cluster.json").read_text())["machines"]
    return [machine["name"].removeprefix("@fake/") for machine in machines]


def about(ran: Ran, directory: Path) -> list[str]:
    return [sentence for sentence in ran.said() if str(directory) in sentence]


def test_a_run_records_the_machines_and_a_plan_only_tells(project: Project, directory: Path) -> None:
    assert about(project.plan([M1], file=HOST), directory) == []
    assert not (directory / "cluster.json").exists()
    assert run(project, [M1]).code == 0
    assert known(directory) == ["m1"]
    before = project.files()
    told = about(project.plan([M1, N1], file=HOST), directory)
    assert told == [f"{directory}/cluster.json: keep this inventory's 2 machines"]
    assert {path for path, digest in project.files().items() if before.get(path) != digest} == {"project/inventory.py"}
    assert run(project, [M1, N1]).code == 0
    assert known(directory) == ["m1", "n1"]


def test_a_run_that_ends_before_there_is_a_ca_leaves_the_inventory_open(project: Project) -> None:
    assert run(project, [M1, N1]).code == 0
    assert not (project.directory / ".kubeinfra/kubernetes/cluster.json").exists()
    assert run(project, OTHERS).code == 0


def test_a_second_inventory_with_the_same_cluster_name_is_refused(project: Project, directory: Path) -> None:
    assert run(project, [M1, N1]).code == 0
    before = {path: digest for path, digest in project.files().items() if ".kubeinfra/" in path}
    for ran in (project.plan(OTHERS, file=HOST), run(project, OTHERS), project.plan(OTHERS)):
        [message] = ran.message
        assert message == (
            f"{directory} is of the cluster with m1 (192.168.80.10), n1 (192.168.80.12); this inventory has none of "
            "these, it has a1 (192.168.80.40), a2 (192.168.80.41): set another cluster_name in group_data/all.py, "
            "which gives this cluster a directory of its own. If all machines of that cluster have new names or "
            f'addresses, set "machines" in {directory}/cluster.json to []'
        )
    assert {path: digest for path, digest in project.files().items() if ".kubeinfra/" in path} == before
    assert project.plan(OTHERS, file=HOST, cluster_name="another").code == 0


def test_a_directory_of_schema_1_is_announced_by_a_plan_and_brought_up_by_a_run(
    project: Project, directory: Path
) -> None:
    (directory / "ca").rename(directory / "authorities")
    before = project.files()
    ran = project.plan([M1], file=HOST)
    assert about(ran, directory) == [f"{directory}: bring to schema 2, authorities/ becomes ca/"]
    assert {path for path, digest in before.items() if project.files().get(path) != digest} == {"project/inventory.py"}
    assert run(project, [M1]).code == 0
    assert sorted(path.name for path in directory.iterdir()) == ["ca", "cluster.json", "run.lock", "runs"]
    assert about(project.plan([M1], file=HOST), directory) == []


@pytest.mark.parametrize("text", ['{"schema": 3}', '{"schema"'])
def test_a_directory_of_a_newer_schema_or_damaged_is_left_alone(project: Project, directory: Path, text: str) -> None:
    (directory / "cluster.json").write_text(text)
    before = {path: digest for path, digest in project.files().items() if ".kubeinfra/" in path}
    for ran in (project.plan([M1], file=HOST), run(project, [M1])):
        [message] = ran.message
        assert message.startswith(f"{directory}/cluster.json: ")
    assert {path: digest for path, digest in project.files().items() if ".kubeinfra/" in path} == before
