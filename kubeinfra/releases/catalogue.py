"""The versions that belong to each Kubernetes release, and the sources of its files: the TOML files here, typed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from kubeinfra.errors import KubeinfraError
from kubeinfra.releases.versions import is_release, minor_of, numbers, why_not


def _read(name: str) -> Mapping[str, Any]:
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _whole(tables: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each minor with all that holds for it: what its table does not say, the minor before it has said."""
    holds: dict[str, Any] = {}
    for minor, table in tables.items():
        holds = {**holds, **table}
        yield minor, holds


TABLES = _read("catalogue.toml")
PINS = _read("pins.toml")
"""Artifact -> version -> "amd64", "arm64": digest, and "source": where they were read."""
_MINORS = dict(_whole(TABLES["minor"]))
NEWEST: Mapping[str, str] = {minor: table["newest"] for minor, table in _MINORS.items()}
"""Each minor that can be deployed, such as "1.20", oldest first -> its newest release that is known here."""

ARCHES = ("amd64", "arm64")
"""Machine architectures in upstream's spelling (`uname -m` says x86_64 and aarch64)."""


@dataclass(frozen=True)
class Proof:
    """
    That a release was deployed for real on bare machines, verified, and run a second time without a change.

    + machines: how many; + first_deploy, second_run: seconds; all None where they were not recorded
    """

    release: str
    date: date
    how: str
    machines: int | None = None
    first_deploy: int | None = None
    second_run: int | None = None


PROOFS = tuple(Proof(**table) for table in _read("proved.toml")["proved"])
"""The releases that are not here are as upstream's documentation has it, and were not tried."""
DEFAULT = max((proof.release for proof in PROOFS), key=numbers)
"""The release that is deployed if no setting says which: the newest of those that are proved."""


@dataclass(frozen=True)
class Release:
    """
    One Kubernetes version and what goes with it; versions without "v", images as full references.

    + newest: newest patch release of this minor; + end_of_life: last day on which upstream supports the minor
    + etcd, containerd, runc, cni_plugins, crictl: default versions
    + etcd_from, etcd_below, containerd_from, containerd_below: minors that may be set, the second no longer: (3, 4)
    + docker_below: major version of Docker that is too new, None where Docker cannot be used at all
    + control_plane_taints, control_plane_labels: keys that a master has as a node
    """

    kubernetes: str
    newest: str
    end_of_life: date
    etcd: str
    etcd_from: tuple[int, ...]
    etcd_below: tuple[int, ...]
    container_runtime: Literal["docker", "containerd"]
    docker_below: int | None
    containerd: str
    containerd_from: tuple[int, ...]
    containerd_below: tuple[int, ...]
    runc: str
    cni_plugins: str
    cni_config_version: str
    crictl: str
    pause_image: str
    flannel_image: str
    flannel_cni_plugin_image: str
    coredns_image: str
    metrics_server_image: str
    verify_image: str
    control_plane_taints: tuple[str, ...]
    control_plane_labels: tuple[str, ...]

    @property
    def minor(self) -> tuple[int, int]:
        """Major and minor as numbers, fit for comparing: (1, 20)."""
        major, minor, _ = numbers(self.kubernetes)
        return major, minor


@dataclass(frozen=True)
class Artifact:
    """One file of upstream's, mostly an archive, for one version and architecture."""

    name: str
    version: str
    arch: str
    url: str
    digest: str | None
    """The pin, "sha256:<hex>" or "sha512:<hex>"; None if pins.toml has none."""
    source: str | None
    """The page or file that the pin was taken from; None without a pin."""
    checksum_url: str
    """Upstream's own checksum file for this archive."""
    members: Mapping[str, str] = field(hash=False)
    """Name of a binary -> its path in the archive; empty: every executable file of the archive."""
    is_archive: bool = True
    """False: the file itself is the binary, and gets the artifact's name."""

    @property
    def file(self) -> str:
        """Upstream's file name."""
        return self.url.rpartition("/")[2]

    @property
    def path(self) -> str:
        """Its path in an artifact directory or cache: <name>/<version>/<file>."""
        return f"{self.name}/{self.version}/{self.file}"


def reason_against(kubernetes_version: object) -> str | None:
    """Why this value of the setting kubernetes_version cannot be deployed, with what to write; None if it can."""
    return why_not(kubernetes_version, NEWEST)


def release(kubernetes_version: str) -> Release:
    """What goes with this Kubernetes version, any patch of a known minor; KubeinfraError if it is none."""
    if reason := reason_against(kubernetes_version):
        raise KubeinfraError(f"kubernetes_version is {kubernetes_version!r}: {reason}")
    table = dict(_MINORS[minor_of(kubernetes_version)])
    for name in ("etcd_from", "etcd_below", "containerd_from", "containerd_below"):
        table[name] = numbers(table[name])
    for name in ("control_plane_taints", "control_plane_labels"):
        table[name] = tuple(table[name])
    return Release(**{**table, "kubernetes": kubernetes_version, "docker_below": table["docker_below"] or None})


def artifact(name: str, version: str, arch: str) -> Artifact:
    """
    A file of one component: "kubernetes", "etcd", "cni-plugins", "containerd", "runc" or "crictl" (else a KeyError).

    Any version is accepted: one that is not listed in pins.toml merely has no digest.
    KubeinfraError if `arch` is not one of ARCHES.
    """
    if arch not in ARCHES:
        raise KubeinfraError(f"architecture {arch!r} is not supported: machines must be {' or '.join(ARCHES)}")
    table = TABLES["artifact"][name]
    pin = PINS.get(name, {}).get(version, {})
    paths = [path.format(version=version, arch=arch) for path in _members(table, version)]
    return Artifact(
        name=name,
        version=version,
        arch=arch,
        url=table["url"].format(version=version, arch=arch),
        digest=pin.get(arch),
        source=pin.get("source"),
        checksum_url=table["checksums"].format(version=version, arch=arch),
        members={path.rpartition("/")[2]: path for path in paths},
        is_archive=table.get("is_archive", True),
    )


def _members(table: Mapping[str, Any], version: str) -> Iterator[str]:
    yield from table.get("members", ())
    for since, further in table.get("members_from", {}).items():
        if is_release(version) and numbers(version) >= numbers(since):
            yield from further
