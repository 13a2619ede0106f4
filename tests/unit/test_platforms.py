"""Distributions: the table, what becomes of a machine that is not in it, and of what stands in the way of Docker."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cluster_samples import SEEN, cluster, here, problems

from kubeinfra.checks.base import Seen
from kubeinfra.checks.catalogue import findings
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.host import ipvs_modules, packages
from kubeinfra.components.platforms import PLATFORMS, in_short, listed
from kubeinfra.components.runtime import docker_repository
from kubeinfra.components.runtime.docker_repository import APT_LIST, YUM_REPO
from kubeinfra.findings import Finding
from kubeinfra.machine.software import Software
from kubeinfra.machine.state import InstalledRuntime, MachineState
from kubeinfra.machine.wanted import File


def platform_findings(cluster: Cluster, machine: Machine, seen: MachineState) -> list[Finding]:
    """What the checks find that are about a distribution, and what is installed on it."""
    about = {"distribution", "tools", "mirrors", "container-runtime"}
    return [one for one in findings(Seen(cluster, {machine.name: seen})) if one.check in about]


def saying(id_: str, version: str, family: str = "redhat", **software: Any) -> MachineState:
    return replace(SEEN, family=family, distribution=id_, software=Software(version=version, **software))


@pytest.mark.parametrize(
    ("id_", "version", "name"),
    [
        ("debian", "12", "debian 12"),
        ("ubuntu", "22.04", "ubuntu 22.04"),
        ("rocky", "9.4", "rocky 9"),
        ("ol", "8.10", "ol 8"),
        ("openEuler", "22.03", "openeuler 22.03"),
        ("kylin", "V10", "kylin V10"),
        ("centos", "7", "centos 7"),
    ],
)
def test_a_release_is_found_by_what_it_says(id_: str, version: str, name: str) -> None:
    found = listed(id_, version)
    assert found
    assert found.name == name


@pytest.mark.parametrize(
    ("id_", "version"), [("debian", ""), ("ubuntu", "24.10"), ("fedora", "41"), ("centos", "6.10")]
)
def test_what_is_not_in_the_table_is_not_guessed(id_: str, version: str) -> None:
    assert listed(id_, version) is None


def test_both_families_get_the_same_tools() -> None:
    names = {"conntrack-tools": "conntrack", "iproute": "iproute2", "procps-ng": "procps"}
    debian, rocky = PLATFORMS["debian 12"], PLATFORMS["rocky 9"]
    assert {names.get(name, name) for name in rocky.host} == set(debian.host)
    assert (rocky.ipvs, rocky.etcd, rocky.tools.keys()) == (debian.ipvs, debian.etcd, debian.tools.keys())


def test_a_machine_of_the_table_has_no_finding() -> None:
    found = cluster()
    for platform in PLATFORMS.values():
        seen = saying(platform.id, platform.release, platform.family)
        assert platform_findings(found, found.machine("n1"), seen) == []


def test_an_unlisted_one_is_refused_with_the_table_in_short() -> None:
    found = cluster()
    (finding,) = platform_findings(found, found.machine("n1"), saying("fedora", "41"))
    assert finding.sentence() == (
        f"n1: is fedora 41, which is none of {in_short()}; take one of these, or say in group_data/all.py, or of this "
        'machine in the inventory, which of them it is to be treated as: unlisted_distribution_as = "rocky 9" '
        "(docs/platforms.md)"
    )
    assert "Debian 11 12 13" in finding.found


def test_a_setting_lets_it_through_as_a_row_of_the_table() -> None:
    found = cluster(unlisted_distribution_as="rocky 9")
    seen = saying("fedora", "41")
    assert platform_findings(found, found.machine("n1"), seen) == []
    assert here(found, "n1", seen).platform is PLATFORMS["rocky 9"]
    assert here(found, "n1", SEEN).platform is PLATFORMS["debian 12"], "one that is listed stays what it is"


def test_a_row_that_fits_another_package_manager_is_refused() -> None:
    found = cluster(unlisted_distribution_as="debian 12")
    (finding,) = platform_findings(found, found.machine("n1"), saying("fedora", "41"))
    assert finding.text().startswith("has dnf or yum; and debian 12 installs with apt-get: ")


def test_a_setting_that_names_no_row_is_refused_without_a_machine() -> None:
    (problem,) = problems(unlisted_distribution_as="debian")
    assert problem.startswith(
        "group_data/all.py: unlisted_distribution_as 'debian' is not in the table of docs/platforms.md: "
    )
    assert not problems(unlisted_distribution_as="debian 12")


def test_what_preflight_itself_needs_is_named_with_its_package() -> None:
    found = cluster()
    seen = saying("rocky", "9.4", lacking=("ip", "stat"))
    (finding,) = platform_findings(found, found.machine("m1"), replace(seen, keeps_time=True))
    assert finding.sentence() == (
        "m1: has no ip, stat, or BusyBox's; and the deploy needs GNU's to look at the machine: "
        "dnf install coreutils iproute"
    )


def test_closed_mirrors_are_a_warning() -> None:
    found = cluster()
    seen = saying("centos", "7", closed_mirrors=("/etc/yum.repos.d/CentOS-Base.repo",))
    (finding,) = platform_findings(found, found.machine("n1"), seen)
    assert (finding.check, finding.level) == ("mirrors", "warning")
    assert "vault.centos.org" in finding.remedy


PODMAN = (("podman-docker", "4.9.4"), ("runc", "1.1.12"))
XFS = (
    "the disk of /var/lib/docker is an xfs that was made with ftype=0, on which Docker's overlay2 cannot work; mount "
    "ext4, or an xfs made with ftype=1, at that directory, or name one on such a disk, docker_extra_config = "
    '{"data-root": "/data/docker"}, or another "storage-driver" there'
)
IN_THE_WAY: dict[str, tuple[MachineState, dict[str, Any], str]] = {
    "podman on EL": (
        saying("rocky", "9.4", packages=PODMAN),
        {},
        "podman-docker 4.9.4, runc 1.1.12 cannot stay together with containerd.io of docker-ce; remove what nothing of "
        "yours needs (dnf remove podman-docker runc podman buildah), or install a Docker yourself, which then stays",
    ),
    "containerd on Debian": (
        saying("debian", "12", "debian", packages=(("containerd", "1.6.20"),)),
        {},
        "containerd 1.6.20 cannot stay together with containerd.io of docker-ce; remove what nothing of "
        "yours needs (apt-get remove containerd), or install a Docker yourself, which then stays, or set "
        'docker_source = "distribution"',
    ),
    "xfs": (saying("centos", "7", without_ftype=("/var/lib/docker",)), {}, XFS),
    "xfs, the distribution's Docker": (
        saying("debian", "12", "debian", without_ftype=("/var/lib/docker", "/var/lib/containerd")),
        {"docker_source": "distribution"},
        XFS,
    ),
    "no Docker of its own": (
        saying("rocky", "9.4"),
        {"docker_source": "distribution"},
        "RHEL-likes have no Docker of their own, their package docker is Podman; set docker_source = "
        '"docker-ce" in group_data/all.py, and docker_repository to a mirror that the machine reaches',
    ),
    "two files for one repository": (
        saying(
            "debian",
            "12",
            "debian",
            docker_repositories=(
                ("https://a/ce/linux/debian", "/etc/apt/sources.list.d/docker.sources"),
                ("https://a/ce/linux/debian", APT_LIST),
            ),
        ),
        {"docker_repository": "https://a/ce"},
        f"/etc/apt/sources.list.d/docker.sources and {APT_LIST} name the same repository; and apt does nothing while "
        f"they name two keys for it: remove one of them, such as {APT_LIST}, which the deploy then does not write "
        "again",
    ),
}


@pytest.mark.parametrize("case", IN_THE_WAY)
def test_what_stands_in_dockers_way_is_told_before(case: str) -> None:
    seen, settings, sentence = IN_THE_WAY[case]
    found = cluster(**settings)
    assert [one.text() for one in platform_findings(found, found.machine("n1"), seen)] == [sentence]
    assert platform_findings(found, found.machine("m1"), seen) == [], "a machine without pods gets no Docker"


def test_nothing_stands_in_the_way_of_a_docker_that_is_there() -> None:
    found = cluster()
    having = replace(saying("rocky", "9.4", packages=PODMAN), runtimes={"docker": InstalledRuntime((26,))})
    assert platform_findings(found, found.machine("n1"), having) == []
    ftype = saying("centos", "7", without_ftype=("/var/lib/docker",))
    elsewhere = cluster(docker_extra_config={"data-root": "/data"})
    assert platform_findings(elsewhere, found.machine("n1"), ftype) == []
    containerds = saying("centos", "7", without_ftype=("/var/lib/containerd",))
    assert platform_findings(found, found.machine("n1"), containerds) == [], "Docker has no data there"


def repository(seen: MachineState, **settings: Any) -> dict[str, str | None]:
    described = docker_repository.describe(here(cluster(docker_repository="https://a/ce/", **settings), "n1", seen))
    return {item.path: item.content for item in described.files if isinstance(item, File)}


@pytest.mark.parametrize(
    ("id_", "version", "url"),
    [
        ("centos", "7", "https://a/ce/linux/centos/7/$basearch/stable"),
        ("rhel", "8.10", "https://a/ce/linux/centos/8/$basearch/stable"),
        ("openEuler", "22.03", "https://a/ce/linux/centos/8/$basearch/stable"),
        ("anolis", "23", "https://a/ce/linux/centos/9/$basearch/stable"),
        ("kylin", "V10", "https://a/ce/linux/centos/8/$basearch/stable"),
    ],
)
def test_the_repository_has_the_release_of_the_table(id_: str, version: str, url: str) -> None:
    text = repository(saying(id_, version))[YUM_REPO] or ""
    assert f"baseurl={url}\n" in text
    assert "skip_if_unavailable=1\n" in text, "one that is dead keeps dnf from everything"


@pytest.mark.parametrize(
    ("id_", "version", "suite"),
    [("debian", "11", "debian bullseye"), ("debian", "13", "debian trixie"), ("ubuntu", "24.04", "ubuntu noble")],
)
def test_apt_has_the_suite_of_the_table(id_: str, version: str, suite: str) -> None:
    text = repository(saying(id_, version, "debian"))[APT_LIST]
    assert text == (
        f"deb [arch=amd64 signed-by=/etc/apt/keyrings/kubeinfra-docker.asc] https://a/ce/linux/{suite} stable\n"
    )


def test_apt_is_asked_for_packages_of_the_machines_architecture() -> None:
    seen = replace(saying("debian", "12", "debian"), arch="arm64")
    assert (repository(seen)[APT_LIST] or "").startswith("deb [arch=arm64 signed-by=")


@pytest.mark.parametrize(
    ("url", "file", "ours"),
    [
        ("https://a/ce/linux/debian", "/etc/apt/sources.list.d/docker.sources", False),
        ("https://a/ce/linux/debian", "/etc/apt/sources.list", False),
        ("https://a/ce/linux/debian", APT_LIST, True),
        ("https://download.docker.com/linux/debian", "/etc/apt/sources.list.d/docker.list", True),
    ],
)
def test_a_repository_that_is_there_is_used(url: str, file: str, ours: bool) -> None:
    seen = saying("debian", "12", "debian", docker_repositories=((url, file),))
    assert bool(repository(seen)) is ours


def test_a_node_whose_kernel_has_apparmor_gets_its_parser() -> None:
    found = cluster()
    on, off = (saying("debian", "12", "debian", apparmor=is_on) for is_on in (True, False))
    assert "apparmor" in packages(here(found, "n1", on))
    assert "apparmor" not in packages(here(found, "n1", off))
    assert "apparmor" not in packages(here(found, "m1", on)), "no container runs there"
    assert "apparmor" not in packages(here(found, "n1", saying("rocky", "9.4", apparmor=True)))


@pytest.mark.parametrize("has", [True, False])
def test_a_kernel_that_has_a_module_of_its_own_for_ipv4_loads_it(has: bool) -> None:
    """Whatever its number is: EL 8's 4.18 has it no longer."""
    seen = replace(SEEN, survey=replace(SEEN.survey, kernel="4.18.0-553.el8_10.x86_64", conntrack_ipv4=has))
    assert ("nf_conntrack_ipv4" in ipvs_modules(here(cluster(), "n1", seen))) is has
