"""What a distribution has installed: the shell on this machine, with files and programs of other machines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from local_machine import program, shell

from kubeinfra.components.runtime import DATA
from kubeinfra.facts.software import SOFTWARE, software
from kubeinfra.machine.software import Software


def answer(command: str, programs: Path | None = None) -> Software:
    done = shell(command, programs=programs)
    assert "syntax" not in done.stderr, done.stderr
    return software(done.stdout.splitlines())


def test_an_answer_is_read() -> None:
    lines = [
        "version=7",
        "apparmor=yes",
        "lacks=ip",
        "package=runc 1.0.0",
        "package=podman-docker 4.9",
        "docker-repository=https://a/linux/debian /etc/apt/sources.list",
        "closed-mirrors=/etc/yum.repos.d/CentOS-Base.repo",
        "without-ftype=/var/lib/docker",
        "without-ftype=/var/lib/containerd",
    ]
    assert software(["uid=0", *lines]) == Software(
        version="7",
        apparmor=True,
        packages=(("runc", "1.0.0"), ("podman-docker", "4.9")),
        lacking=("ip",),
        docker_repositories=(("https://a/linux/debian", "/etc/apt/sources.list"),),
        closed_mirrors=("/etc/yum.repos.d/CentOS-Base.repo",),
        without_ftype=DATA,
    )
    assert software([]) == Software()


DEB822 = """\
Types: deb
URIs: https://download.docker.com/linux/debian
Suites: bookworm
Components: stable
Signed-By: /etc/apt/keyrings/docker.asc
"""


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("docker.list", "deb [arch=amd64] https://a/ce/linux/debian bookworm stable\n", "https://a/ce/linux/debian"),
        ("docker.list", "deb [trusted=yes] http://a/linux/ubuntu/ noble stable\n", "http://a/linux/ubuntu"),
        ("docker.list", "# deb https://a/ce/linux/debian bookworm stable\n", ""),
        ("docker.list", "deb http://mirror.example/debian bookworm main\n", ""),
        ("docker.sources", DEB822, "https://download.docker.com/linux/debian"),
        ("docker.sources", f"Enabled: no\n{DEB822}", ""),
        ("docker.sources", f"Enabled: no\n{DEB822}\n{DEB822}", "https://download.docker.com/linux/debian"),
        ("docker.list.save", "deb https://a/ce/linux/debian bookworm stable\n", ""),
    ],
)
def test_dockers_repository_is_found_in_apts_files(tmp_path: Path, name: str, text: str, found: str) -> None:
    program(tmp_path / "programs", "dpkg-query", "exit 1")
    (tmp_path / name).write_text(text)
    answered = answer(SOFTWARE.replace("/etc/apt/sources.list.d", str(tmp_path)), tmp_path / "programs")
    assert answered.docker_repositories == (((found, f"{tmp_path}/{name}"),) if found else ())


def test_only_what_is_installed_counts(tmp_path: Path) -> None:
    says = 'echo "installed runc 1.1.5+ds1-1"; echo "config-files docker.io 20.10"; exit 1'
    programs = program(tmp_path / "programs", "dpkg-query", says)
    assert answer(SOFTWARE, programs).packages == (("runc", "1.1.5+ds1-1"),)


def test_rpm_tells_it_too_and_mirrors_that_are_closed(tmp_path: Path) -> None:
    program(tmp_path / "programs", "rpm", 'echo "package runc is not installed"; echo "package=docker 1.13"; exit 1')
    for name, line in (
        ("a.repo", "mirrorlist=http://mirrorlist.centos.org/?x"),
        ("b.repo", "#mirrorlist=http://mirrorlist.centos.org"),
    ):
        (tmp_path / name).write_text(f"[base]\n{line}\n")
    command = SOFTWARE.replace("command -v dpkg-query", "false").replace("/etc/yum.repos.d", str(tmp_path))
    found = answer(command, tmp_path / "programs")
    assert (found.packages, found.closed_mirrors) == ((("docker", "1.13"),), (f"{tmp_path}/a.repo",))


def test_a_missing_program_and_busyboxs_are_told(tmp_path: Path) -> None:
    busybox = tmp_path / "bin" / "busybox"
    program(tmp_path / "bin", "busybox", "exit 0")
    program(tmp_path / "programs", "unused", "exit 0")
    (tmp_path / "programs" / "base64").symlink_to(busybox)
    command = SOFTWARE.replace("for tool in awk", "for tool in no_such_tool awk")
    assert answer(command, tmp_path / "programs").lacking == ("no_such_tool", "base64")


OLD, NEW, EXT4 = "naming =version 2 bsize=4096 ascii-ci=0 ftype=0", "ftype=1", "ext2/ext3"
DOCKER, CONTAINERD = DATA


@pytest.mark.parametrize(
    ("disks", "without"),
    [
        ({"": OLD}, (DOCKER, CONTAINERD)),
        ({"": NEW}, ()),
        ({"": EXT4}, ()),
        ({"": EXT4, "/var/lib/docker": OLD}, (DOCKER,)),
        ({"": NEW, "/var/lib/containerd": OLD}, (CONTAINERD,)),
        ({"": OLD, "/var/lib/docker": NEW}, (CONTAINERD,)),
        ({"": OLD, "/var/lib/containerd": EXT4}, (DOCKER,)),
        ({"": EXT4, "/var/lib": OLD}, (DOCKER, CONTAINERD)),
        ({"": OLD, "/var": NEW}, ()),
    ],
)
def test_an_xfs_without_ftype_is_told_of_the_disk_that_has_the_data(
    tmp_path: Path, disks: dict[str, str], without: tuple[str, ...]
) -> None:
    """disks: mount point -> what xfs_info says of it, or ext4's kind; nothing else is there."""
    root = tmp_path / "root"
    for mount in disks:
        Path(f"{root}{mount}").mkdir(parents=True, exist_ok=True)
    info, kind, mounted = [], [], []
    for mount in sorted(disks, key=len, reverse=True):  # the longest that a path begins with is the path's
        path, says = f"{root}{mount}", disks[mount]
        info.append(f"{path}) echo '{says}' ;;")
        kind.append(f"{path} | {path}/*) echo {says if says == EXT4 else 'xfs'} ;;")
        mounted.append(f"{path} | {path}/*) echo /dev/sda1 9 9 9 9% {path} ;;")
    programs = tmp_path / "programs"
    for name, argument, lines in (("xfs_info", "$1", info), ("stat", "$4", kind), ("df", "$2", mounted)):
        program(programs, name, "\n".join([f"case {argument} in", *lines, "*) exit 1 ;; esac"]))
    command = re.sub("|".join(DATA), lambda data: f"{root}{data[0]}", SOFTWARE)
    assert answer(command, programs).without_ftype == tuple(f"{root}{data}" for data in without)


@pytest.mark.parametrize(("says", "has_fs", "on"), [("Y", True, True), ("N", True, False), ("Y", False, False)])
def test_apparmor_is_on_where_the_kernel_says_so(tmp_path: Path, says: str, has_fs: bool, on: bool) -> None:
    (tmp_path / "enabled").write_text(f"{says}\n")
    security = tmp_path if has_fs else tmp_path / "nowhere"
    command = SOFTWARE.replace("/sys/module/apparmor/parameters", str(tmp_path))
    assert answer(command.replace("/sys/kernel/security/apparmor", str(security))).apparmor is on
