"""What each distribution calls what the deploy needs: platforms.toml, typed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from kubeinfra.cluster.settings import Settings
from kubeinfra.machine.state import MachineState

Packages = tuple[str, ...]
CANNED = "canned facts"
"""How every release is checked: a plan of the whole deploy on machines that say they are one."""


@dataclass(frozen=True)
class Platform:
    """
    One release of a distribution; platforms.toml says what each field is.

    + id, release: as /etc/os-release has them in ID and VERSION_ID, or VERSION_ID's first number; title: its name
    """

    id: str
    release: str
    title: str
    family: Literal["debian", "redhat"]
    manager: Literal["apt-get", "dnf", "yum"]
    host: Packages
    ipvs: Packages
    nftables: Packages
    load_balancer: Packages
    etcd: Packages
    apparmor: Packages
    docker: Packages
    containerd: Packages
    containerd_release: str
    conflicts: Packages
    tools: Mapping[str, str]
    chrony: str
    chrony_conflicts: Packages
    chrony_conf: str
    nginx_packages: Packages
    nginx_user: str
    nginx_modules: str
    nginx: str
    docker_path: str
    docker_suite: str
    systemd: int
    kernel: str
    cgroup: Literal[1, 2]
    checked: Packages = ()

    @property
    def name(self) -> str:
        """As a setting names it: "debian 12"."""
        return f"{self.id} {self.release}"


def _read(tables: Mapping[str, Any]) -> Iterator[Platform]:
    for id_, of in tables["distribution"].items():
        for release, own in of["release"].items():
            common = {key: value for key, value in of.items() if key != "release"}
            values = {**tables["family"][of["family"]], **common, **own, "id": id_, "release": release}
            unknown = values.keys() - {field.name for field in fields(Platform)}
            if unknown:
                raise KeyError(f"platforms.toml: {id_} {release} has unknown keys {sorted(unknown)}")
            typed: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in values.items()}
            yield Platform(**typed)


PLATFORMS: Mapping[str, Platform] = {
    platform.name: platform
    for platform in _read(tomllib.loads(Path(__file__).with_name("platforms.toml").read_text(encoding="utf-8")))
}
"""Every release in the table: name -> Platform."""


def listed(id_: str, version: str) -> Platform | None:
    """The row of a machine that says ID and VERSION_ID, such as "rocky" and "9.4"; None if it is not in the table."""
    for release in (version, version.partition(".")[0]):
        if found := PLATFORMS.get(f"{id_.lower()} {release}"):
            return found
    return None


def find(seen: MachineState, settings: Settings) -> Platform | None:
    """The row of a machine's distribution, or the one that its settings say it is to be treated as; None: neither."""
    own = listed(seen.distribution, seen.software.version)
    return own or PLATFORMS.get(settings.unlisted_distribution_as or "")


def platform_of(seen: MachineState, settings: Settings) -> Platform:
    """
    What the machine's distribution calls things.

    KeyError if there is no row for it: an error in the code, as preflight refuses such a machine.
    """
    if found := find(seen, settings):
        return found
    raise KeyError(f"{seen.distribution} {seen.software.version} is not in the table of platforms")


def in_short() -> str:
    """The table for a message: "Debian 11 12 13, Ubuntu 20.04 ..."."""
    releases: dict[str, list[str]] = {}
    for platform in PLATFORMS.values():
        releases.setdefault(platform.title, []).append(platform.release)
    return ", ".join(f"{title} {' '.join(every)}" for title, every in releases.items())
