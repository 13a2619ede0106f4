"""A Red Hat-like machine gets the packages, the paths and the units of its family."""

from __future__ import annotations

from dataclasses import replace

import pytest
from simulated import DEBIAN, RED_HAT, Project, Ran, guide

ALONE = "preflight | no other run is at work"
RED_HATS = [replace(machine, says=RED_HAT) for machine in guide()]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Project(tmp_path_factory.mktemp("red-hat")).plan(RED_HATS)


def test_packages_have_the_names_of_the_family(plan: Ran) -> None:
    assert "install packages chrony conntrack-tools curl ethtool iptables kmod openssl socat" in plan.said("node01")
    assert "install packages ipset ipvsadm" in plan.said("node01")
    assert "install packages keepalived nginx nginx-mod-stream" in plan.said("lb01")


def test_the_clock_is_chronyds(plan: Ran) -> None:
    said = plan.said("node01")
    assert "write /etc/chrony.conf" in said
    assert {"enable chronyd.service", "start chronyd.service"} <= set(said)
    assert not [sentence for sentence in said if "chrony.service" in sentence or "/etc/chrony/" in sentence]


def test_docker_comes_from_the_repository_of_a_setting(plan: Ran) -> None:
    (sentence,) = [one for one in plan.said("node01") if one.startswith("install docker-ce")]
    assert sentence.endswith(" from https://mirrors.aliyun.com/docker-ce")


def test_nginx_loads_the_modules_where_the_family_has_them(plan: Ran) -> None:
    said = "\n".join(plan.said("lb01"))
    assert "include /usr/share/nginx/modules/*.conf;" in said
    assert "user nginx;" in said


def test_dnf_or_yum_does_it(project: Project) -> None:
    ran = project.pyinfra(
        RED_HATS,
        "-y",
        "--json",
        "--debug",
        "--limit",
        "node",
        file="tasks/docker.py",
        docker_repository="https://mine/ce",
    )
    assert ran.code == 0, ran.err
    assert "base=https://mine/ce/linux/centos" in ran.err
    assert "/etc/yum.repos.d/docker-ce.repo" in ran.err
    assert "apt-get" not in "".join(line for line in ran.err.splitlines() if "uid=$(id -u)" not in line)


def test_a_machine_whose_time_is_kept_gets_no_chrony(project: Project) -> None:
    keeping = [replace(machine, says={**DEBIAN, "time": "systemd-timesyncd"}) for machine in guide()]
    ran = project.plan(keeping, file="tasks/host.py")
    assert ran.names == [ALONE, "host | files", "host | packages", "host | running system"]


def test_a_container_gets_no_time_daemon_and_is_told_why(project: Project) -> None:
    contained = [replace(machine, says={**DEBIAN, "container": "yes"}) for machine in guide()]
    ran = project.plan(contained, file="tasks/host.py")
    assert ran.names == [ALONE, "host | files", "host | packages", "host | running system"]
    assert "note: a container has its host's clock; no time daemon is set up" in ran.said("node01")


def test_the_distributions_own_docker_is_taken_where_it_is_wanted(project: Project) -> None:
    ran = project.plan(guide(), "--limit", "node", file="tasks/docker.py", docker_source="distribution")
    assert "install packages docker.io" in ran.said("node01")


@pytest.mark.parametrize("owner", ["docker.io", ""], ids=["of another package", "of no package"])
def test_docker_that_is_there_already_stays(project: Project, owner: str) -> None:
    """Another package would take its place, and its containers."""
    says = {**DEBIAN, "runtime": " 24.0.7  311", "runtime-package": owner}
    having = [replace(machine, says=says) for machine in guide()]
    ran = project.plan(having, "--limit", "node", file="tasks/docker.py")
    assert f"note: Docker 24 is there and stays ({owner or 'from no package'})" in ran.said("node01")
    assert not [sentence for sentence in ran.said("node01") if sentence.startswith("install")]
    assert "start docker.service" in ran.said("node01")


def test_machines_of_two_architectures_get_their_own_binaries(project: Project) -> None:
    machines = guide()
    mixed = [
        replace(machine, says={**DEBIAN, "arch": "aarch64"}) if machine.name == "node02" else machine
        for machine in machines
    ]
    ran = project.plan(mixed, "--limit", "node", file="tasks/artifacts.py")
    put = {name: [one for one in ran.said(name) if "kubelet 1.20.15" in one] for name in ("node01", "node02")}
    assert len(put["node01"]) == len(put["node02"]) == 1
    assert put["node01"] != put["node02"]


def test_a_node_on_cgroup_v2_is_told_and_the_plan_goes_on(project: Project) -> None:
    machines = [replace(machine, says={**DEBIAN, "cgroup": "2"}) for machine in guide()]
    plan = project.plan(machines)
    told = [
        name
        for name in ("master01", "node01", "node02", "lb01")
        if "warning: on cgroup v2 " in "\n".join(plan.said(name))
    ]
    assert plan.code == 0
    assert told == ["node01", "node02"]
