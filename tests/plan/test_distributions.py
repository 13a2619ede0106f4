"""Machines of every distribution in the table get its packages, paths and units; each says that it is one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from simulated import CENTOS_7, DEBIAN, RED_HAT, Machine, Project, Ran, guide

from kubeinfra.components.platforms import PLATFORMS, Platform
from tests.sent import files

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
    assert sentence.endswith(" from https://mirrors.aliyun.com/docker-ce/linux/centos")


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
    (repository,) = {text for text in files(project.sent) if "[kubeinfra-docker]" in text}
    assert "baseurl=https://mine/ce/linux/centos/9/$basearch/stable\n" in repository
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
    says = {**DEBIAN, "docker": " 24.0.7  311", "docker-package": owner}
    having = [replace(machine, says=says) for machine in guide()]
    ran = project.plan(having, "--limit", "node", file="tasks/docker.py")
    assert f"note: Docker 24 is there and stays ({owner or 'from no package'})" in ran.said("node01")
    assert not [sentence for sentence in ran.said("node01") if sentence.startswith("install")]
    assert "start docker.service" in ran.said("node01")


# Each distribution once, as a machine that has every part that packages are needed for.
EVERY = {name: f"p{number}" for number, name in enumerate(PLATFORMS)}


def machine_of(platform: Platform, name: str, number: int) -> Machine:
    older = {"survey conntrack-ipv4 yes": ""} if platform.kernel.startswith("3.") else {}
    says = {
        **DEBIAN,
        **older,
        "family": platform.family,
        "id": platform.id,
        "version": platform.release,
        "systemd": str(platform.systemd),
        f"survey kernel {platform.kernel}.1-generic": "",
        "survey ip-vs yes": "",
        "apparmor": "yes",
    }
    return Machine(name, f"192.168.80.{10 + number}", "node lb", says)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One plan for all of them."""
    machines = [Machine("m1", "192.168.80.5", "master etcd")]
    machines += [machine_of(PLATFORMS[platform], name, number) for number, (platform, name) in enumerate(EVERY.items())]
    project = Project(tmp_path_factory.mktemp("every"))
    project.timeout = 600  # five times the machines of the others
    return project.plan(machines, virtual_ip="192.168.80.100", docker_repository="https://mine/ce")


@pytest.mark.parametrize("name", EVERY)
def test_each_distribution_gets_what_its_row_says(planned: Ran, name: str) -> None:
    platform, said = PLATFORMS[name], planned.said(EVERY[name])
    text = "\n".join(said)
    installed = {name for line in said if line.startswith("install packages") for name in line.split()[2:]}
    assert installed >= {*platform.ipvs, *platform.apparmor, "keepalived", "nginx", "chrony"}
    assert f"write {platform.chrony_conf}" in said
    assert f"start {platform.chrony}" in said
    assert f"user {platform.nginx_user};" in text
    assert f"include {platform.nginx_modules};" in text
    assert ("proxy_socket_keepalive on;" in text) is (platform.nginx not in ("1.14", "1.12"))
    assert f"https://mine/ce/linux/{platform.docker_path}" in text
    if platform.family == "debian":
        assert f"https://mine/ce/linux/{platform.docker_path} {platform.docker_suite} stable" in text
    else:
        assert f"https://mine/ce/linux/centos/{platform.docker_suite}/$basearch/stable" in text
    assert ("ExecStartPre=+" in text) is (platform.systemd >= 231)
    assert ("nf_conntrack_ipv4" in text) is platform.kernel.startswith("3.")


def warnings(project: Project, machines: list[Machine], check: str, **options: str) -> list[tuple[str, str]]:
    """Of a plan that goes through: machine and level of each finding of a check."""
    document = project.directory / "preflight.json"
    ran = project.plan(machines, "--data", f"preflight_json={document}", **options)
    assert ran.code == 0, ran.err
    found = json.loads(document.read_text())["findings"]
    return [(one["machine"].removeprefix("@fake/"), one["level"]) for one in found if one["check"] == check]


def test_centos_7_is_refused_for_what_it_has_not_and_not_for_its_age(project: Project) -> None:
    says = {**CENTOS_7, "closed-mirrors": "/etc/yum.repos.d/CentOS-Base.repo"}
    machines = [replace(machine, says=says) for machine in guide()]
    assert ("node01", "warning") in warnings(project, machines, "mirrors", file="tasks/host.py")


def test_an_unlisted_distribution_goes_through_as_the_setting_says(project: Project) -> None:
    says = {**RED_HAT, "id": "fedora", "version": "41"}
    machines = [replace(machine, says=says) for machine in guide()]
    refused = project.plan(machines, file="tasks/host.py")
    assert any(
        "node01, node02, " in line and "is fedora 41, which is none of Debian 11" in line for line in refused.message
    )
    ran = project.plan(machines, file="tasks/host.py", unlisted_distribution_as="rocky 9")
    assert "write /etc/chrony.conf" in ran.said("node01")


def test_a_repository_of_dockers_that_is_there_is_used_and_told(project: Project) -> None:
    file = "/etc/apt/sources.list.d/docker.sources"
    says = {**DEBIAN, f"docker-repository=https://mine/ce/linux/debian {file}": ""}
    machines = [replace(machine, says=says) for machine in guide()]
    ran = project.plan(machines, "--limit", "node", file="tasks/docker.py", docker_repository="https://mine/ce")
    said = ran.said("node01")
    assert f"note: Docker's repository is in {file} already, which is used" in said
    assert not [line for line in said if "kubeinfra-docker.list" in line]


def test_the_repository_is_put_right_where_no_package_is_missing(project: Project) -> None:
    answers: dict[str, list[str]] = {"for name in docker-ce docker-ce-cli containerd.io;": []}
    having = [
        replace(machine, says={**DEBIAN, "docker": " 26.1.4  5650", "docker-package": "docker-ce"}, answers=answers)
        for machine in guide()
    ]
    said = project.plan(having, "--limit", "node", file="tasks/docker.py").said("node01")
    assert "write /etc/apt/sources.list.d/kubeinfra-docker.list" in said
    assert not [line for line in said if line.startswith("install docker-ce")]


def test_nodes_on_cgroup_v2_are_told_and_the_plan_goes_on(project: Project) -> None:
    machines = [replace(machine, says={**DEBIAN, "cgroup": "2"}) for machine in guide()]
    assert warnings(project, machines, "cgroups") == [("node01", "warning"), ("node02", "warning")]
