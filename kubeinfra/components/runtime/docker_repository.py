"""Docker's repository: where a machine gets docker-ce, or containerd.io, from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from kubeinfra.cluster.settings import Settings
from kubeinfra.components.base import Component, Here
from kubeinfra.components.platforms import Platform
from kubeinfra.findings import EXPLAINED, Finding
from kubeinfra.machine.state import MachineState
from kubeinfra.machine.wanted import Directory, File

APT_LIST = "/etc/apt/sources.list.d/kubeinfra-docker.list"
APT_KEY = "/etc/apt/keyrings/kubeinfra-docker.asc"
YUM_REPO = "/etc/yum.repos.d/kubeinfra-docker.repo"
FILES = (APT_LIST, APT_KEY, YUM_REPO)


@dataclass(frozen=True)
class Packages:
    """
    Packages of the repository that are installed together.

    + names: of one version; others: of whatever version
    + version: prefix of the version, such as "24.0"; None: the newest from `first` on and below `below`
    + choice: what an error says before the versions that there are
    + preferences: path of the file that keeps apt to the version
    """

    names: tuple[str, ...]
    version: str | None
    below: tuple[int, ...]
    choice: str
    preferences: str
    first: tuple[int, ...] = (0,)
    others: tuple[str, ...] = ()


_error = partial(Finding, "container runtime", level="error")


def base(settings: Settings, platform: Platform) -> str:
    """URL of the distribution's part of the repository."""
    return f"{settings.docker_repository.rstrip('/')}/linux/{platform.docker_path}"


def used(settings: Settings, platform: Platform, seen: MachineState) -> list[str]:
    """Files of others that have this repository already: with another key for it apt would refuse to do anything."""
    if platform.family != "debian":
        return []
    where = base(settings, platform)
    return [file for url, file in seen.software.docker_repositories if url == where and file != APT_LIST]


def describe(here: Here) -> Component:
    """
    The file that names it to the package manager, whether or not packages are missing.

    apt accepts no second file for a repository that has another key: one that is there is used as it is.
    """
    settings, platform = here.settings, here.platform
    where = base(settings, platform)
    if platform.family == "redhat":
        return Component((File(YUM_REPO, _yum(where, platform)),))
    if used(settings, platform, here.seen):
        return Component()
    text = f"deb [arch={here.seen.arch} signed-by={APT_KEY}] {where} {platform.docker_suite} stable\n"
    return Component((Directory("/etc/apt/keyrings"), File(APT_LIST, text, check=_apt_check(where))))


def _yum(where: str, platform: Platform) -> str:
    """With a name of its own, next to what others may have; one that does not answer keeps dnf from nothing else."""
    return f"""\
# Written by kubeinfra: setting docker_repository says from where.
[kubeinfra-docker]
name=Docker CE
baseurl={where}/{platform.docker_suite}/$basearch/stable
enabled=1
gpgcheck=1
gpgkey={where}/gpg
skip_if_unavailable=1
"""


def _apt_check(where: str) -> str:
    """Gets the key, and asks the repository alone: a file for one that does not answer would spoil every update."""
    return (
        f"curl -fsSL --retry 3 --connect-timeout 10 -o {APT_KEY}.new {where}/gpg && chmod 644 {APT_KEY}.new && "
        f"mv -f {APT_KEY}.new {APT_KEY} && lists=$(mktemp -d) && "
        "said=$(apt-get -q update -o Dir::Etc::SourceList={new} -o Dir::Etc::SourceParts=/dev/null "
        '-o Dir::State::Lists="$lists" -o APT::Sandbox::User=root 2>&1); '
        'found=$(find "$lists" -maxdepth 1 -name "*Release"); rm -rf "$lists"; echo "$said"; [ -n "$found" ]'
    )


def named_twice(settings: Settings, machine: str, seen: MachineState, platform: Platform) -> Iterator[Finding]:
    """An error if apt has the repository from our file and from another one."""
    others = used(settings, platform, seen)
    if others and APT_LIST in [file for _, file in seen.software.docker_repositories]:
        yield _error(
            machine=machine,
            found=f"{', '.join(others)} and {APT_LIST} name the same repository",
            wanted="and apt does nothing while they name two keys for it",
            remedy=f"remove one of them, such as {APT_LIST}, which the deploy then does not write again",
            joints=EXPLAINED,
        )


def conflicts(machine: str, seen: MachineState, platform: Platform, runtime: str, of_its_own: str) -> Iterator[Finding]:
    """
    An error for packages that containerd.io, which is to be installed, would push out or conflicts with.

    + runtime: what could be installed in its place, such as "a Docker"; + of_its_own: the setting with which the
      distribution's own is installed, "" if it has none
    """
    found = [(name, version) for name, version in seen.software.packages if name in platform.conflicts]
    if not found:
        return
    packages = ", ".join(f"{name} {version}" for name, version in found)
    names = " ".join(name for name, _ in found)
    with_it = " podman buildah" if platform.family == "redhat" and "runc" in names.split() else ""
    yield _error(
        machine=machine,
        found=f"{packages} cannot stay together with containerd.io of docker-ce",
        remedy=f"remove what nothing of yours needs ({platform.manager} remove {names}{with_it}), or install {runtime} "
        f"yourself, which then stays{f', or set {of_its_own}' if of_its_own else ''}",
    )
