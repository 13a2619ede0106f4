"""Machines of two architectures, or all of the other one: each gets what is made for it, as its facts say."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from made_up import binary_of, made_up_artifacts
from simulated import DEBIAN, RED_HAT, RELEASE, Machine, Project, Ran, guide

from kubeinfra.artifacts.images import image_path
from kubeinfra.releases.catalogue import artifact, release

NEWEST = "1.37.2"
ARM = {**DEBIAN, "arch": "aarch64"}
BOTH = ("amd64", "arm64")
NODES = {"node01": "amd64", "node02": "arm64"}


def with_arm(*names: str) -> list[Machine]:
    """The guide's machines, these of them arm64."""
    return [replace(machine, says=ARM) if machine.name in names else machine for machine in guide()]


def told(ran: Ran, name: str, *beginnings: str) -> list[str]:
    return [sentence for sentence in ran.said(name) if sentence.startswith(beginnings)]


@pytest.fixture(scope="module", params=[RELEASE, NEWEST], ids=["docker", "containerd"])
def mixed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Project, Ran]:
    """A whole run of a cluster whose second node is arm64, with everything at hand for both."""
    directory = tmp_path_factory.mktemp("mixed")
    project, version = Project(directory), request.param
    settings: dict[str, Any] = {**made_up_artifacts(directory, version, BOTH), "kubernetes_version": version}
    return version, project, project.pyinfra(with_arm("node02"), "-y", "--json", "--debug", "-vvv", **settings)


def test_every_binary_is_of_its_machines_architecture(mixed: tuple[str, Project, Ran]) -> None:
    version, project, ran = mixed
    names = ["kubelet", "kube-proxy", *(["containerd", "runc", "crictl"] if version == NEWEST else [])]
    for host, arch in NODES.items():
        placed = commands(project, host)
        other = next(one for one in BOTH if one != arch)
        for name in names:
            assert f".{name}.{digest(name, arch)}" in placed, f"{host} should get {name} for {arch}"
            assert digest(name, other) not in placed, f"{host} should not get {name} for {other}"
    assert digest("kube-apiserver", "amd64") in commands(project, "master01")
    assert ran.code == 0


def test_every_image_is_of_its_nodes_architecture(mixed: tuple[str, Project, Ran]) -> None:
    version, project, _ = mixed
    tars = {
        arch: sha256(
            (project.directory.parent / "artifacts" / image_path(release(version).pause_image, arch)).read_bytes()
        ).hexdigest()
        for arch in BOTH
    }
    for host, arch in NODES.items():
        loaded = commands(project, host)
        assert [one for one in BOTH if f"/{tars[one]}.tar.gz" in loaded] == [arch], host


def test_dockers_repository_is_asked_for_the_machines_architecture(project: Project) -> None:
    machines = [*with_arm("node02"), Machine("node03", "192.168.80.15", "node", {**RED_HAT, "arch": "aarch64"})]
    ran = project.plan(machines, "--limit", "node", file="tasks/docker.py", docker_repository="https://mine/ce")
    for host, arch in NODES.items():
        assert f"deb [arch={arch} signed-by=" in "\n".join(ran.said(host)), host
    assert "/$basearch/stable" in "\n".join(ran.said("node03")), "yum fills in the machine's own"


@pytest.mark.parametrize("version", [RELEASE, NEWEST])
def test_a_cluster_of_arm64_asks_for_nothing_else(project: Project, version: str) -> None:
    machines = with_arm(*(machine.name for machine in guide()))
    ran = project.plan(machines, kubernetes_version=version, containerd_source="upstream")
    fetched = [sentence for sentence in ran.said() if sentence.startswith("fetch ")]
    assert {sentence.split()[1] for sentence in fetched} >= {"kubernetes", "etcd", "cni-plugins"}
    assert all(origin(version, sentence, "arm64") for sentence in fetched), fetched
    assert not any(origin(version, sentence, "amd64") for sentence in fetched), fetched


def test_nodes_without_a_tar_of_their_architecture_pull(project: Project, tmp_path: Path) -> None:
    settings = made_up_artifacts(tmp_path, RELEASE, BOTH, image_arches=["amd64"])
    ran = project.plan(with_arm("node02"), "--limit", "node", file="tasks/artifacts.py", **settings)
    sent = f"send image {release(RELEASE).pause_image} (built)"
    assert sent in ran.said("node01")
    assert not told(ran, "node02", "send image")
    assert told(ran, "node02", "put /opt/kubernetes/bin/kubelet "), "it takes part"


def test_a_tar_of_the_wrong_architecture_ends_the_run_before_anything_is_changed(
    project: Project, tmp_path: Path
) -> None:
    settings = made_up_artifacts(tmp_path, RELEASE, BOTH)
    pause = release(RELEASE).pause_image
    amd64, arm64 = (tmp_path / "artifacts" / image_path(pause, arch) for arch in BOTH)
    arm64.write_bytes(amd64.read_bytes())
    own = settings["own_builds"]
    own[image_path(pause, "arm64")] = own[image_path(pause, "amd64")]
    ran = project.pyinfra(with_arm("node02"), "-y", "-v", **settings)
    assert f"{arm64}: holds {pause} for amd64, wanted arm64; `docker pull " in ran.message[0]


def digest(name: str, arch: str) -> str:
    return sha256(binary_of(name, arch)).hexdigest()


def commands(project: Project, host: str) -> str:
    """All that this machine was sent by operations."""
    mine = [one for one in project.sent if one.operation and one.machine.removeprefix("@fake/") == host]
    assert mine, f"nothing was sent to {host}"
    return "\n".join(one.command for one in mine)


def origin(version: str, sentence: str, arch: str) -> bool:
    """Whether an archive that is fetched is the one for this architecture: by its digest, or its URL without one."""
    name, number = sentence.split()[1:3]
    one = artifact(name, number, arch)
    return (one.digest or one.url) in sentence
