"""The versions that belong to each Kubernetes release, and the sources of its files: catalogue.toml, typed."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kubeinfra.errors import KubeinfraError

TABLES: Mapping[str, Any] = tomllib.loads(Path(__file__).with_name("catalogue.toml").read_text(encoding="utf-8"))

SUPPORTED = tuple(str(version) for version in TABLES["release"])
"""Kubernetes versions that can be deployed, in the order of catalogue.toml."""

ARCHES = ("amd64", "arm64")
"""Machine architectures in upstream's spelling (`uname -m` says x86_64 and aarch64)."""


@dataclass(frozen=True)
class Release:
    """One Kubernetes version and what goes with it; versions without "v", images as full references."""

    kubernetes: str
    etcd: str
    cni_plugins: str
    docker_below: int
    cni_config_version: str
    pause_image: str
    flannel_image: str
    flannel_cni_plugin_image: str
    coredns_image: str
    verify_image: str

    @property
    def minor(self) -> tuple[int, int]:
        """Major and minor as numbers, fit for comparing: (1, 20)."""
        major, minor = self.kubernetes.split(".")[:2]
        return int(major), int(minor)


@dataclass(frozen=True)
class Artifact:
    """One archive of upstream's, for one version and architecture."""

    name: str
    version: str
    arch: str
    url: str
    digest: str | None
    """The pin, "sha256:<hex>" or "sha512:<hex>"; None if catalogue.toml has none."""
    source: str | None
    """The page or file that the pin was taken from; None without a pin."""
    checksum_url: str
    """Upstream's own checksum file for this archive."""
    members: Mapping[str, str] = field(hash=False)
    """Name of a binary -> its path in the archive; empty: every executable file of the archive."""

    @property
    def file(self) -> str:
        """Upstream's file name."""
        return self.url.rpartition("/")[2]

    @property
    def path(self) -> str:
        """Its path in an artifact directory or cache: <name>/<version>/<file>."""
        return f"{self.name}/{self.version}/{self.file}"


def release(kubernetes_version: str) -> Release:
    """What goes with this Kubernetes version; KubeinfraError if it is not a supported one."""
    if kubernetes_version not in SUPPORTED:
        raise KubeinfraError(_unsupported(kubernetes_version))
    return Release(kubernetes=kubernetes_version, **TABLES["release"][kubernetes_version])


def artifact(name: str, version: str, arch: str) -> Artifact:
    """
    The archive of one component: "kubernetes", "etcd" or "cni-plugins" (another name is a KeyError).

    Any version is accepted: one that is not listed in catalogue.toml merely has no digest.
    KubeinfraError if `arch` is not one of ARCHES.
    """
    if arch not in ARCHES:
        raise KubeinfraError(f"architecture {arch!r} is not supported: machines must be {' or '.join(ARCHES)}")
    table = TABLES["artifact"][name]
    pin = table["pins"].get(version, {})
    paths = [path.format(version=version, arch=arch) for path in table.get("members", ())]
    return Artifact(
        name=name,
        version=version,
        arch=arch,
        url=table["url"].format(version=version, arch=arch),
        digest=pin.get(arch),
        source=pin.get("source"),
        checksum_url=table["checksums"].format(version=version, arch=arch),
        members={path.rpartition("/")[2]: path for path in paths},
    )


def _unsupported(version: str) -> str:
    near = get_close_matches(version.removeprefix("v"), SUPPORTED, n=1)
    suggestion = f"did you mean {near[0]!r}? " if near else ""
    return f"kubernetes_version {version!r} is not supported: {suggestion}supported: {', '.join(SUPPORTED)}"
