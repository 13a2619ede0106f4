"""Releases and images for simulated machines: archives of upstream's form with a line of text for each binary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from simulated import RELEASE

from kubeinfra.artifacts.images import image_path
from kubeinfra.releases.catalogue import Release, artifact, release
from tests.unit.artifact_files import put, saved, tarball


def made_up_artifacts(
    directory: Path, version: str = RELEASE, arches: Sequence[str] = ("amd64",), image_arches: Sequence[str] = ()
) -> dict[str, Any]:
    """
    The settings of a user who built everything for this release: artifacts_dir and own_builds.

    + arches: for which architectures; + image_arches: of the image, where they differ
    """
    newest = release(version)
    own = {path: content for arch in arches for path, content in _archives(newest, arch)}
    for arch in image_arches or arches:
        own[image_path(newest.pause_image, arch)], _ = saved([newest.pause_image], arch)
    for path, content in own.items():
        put(directory / "artifacts" / path, content)
    digests = {path: f"sha256:{sha256(content).hexdigest()}" for path, content in own.items()}
    return {"artifacts_dir": str(directory / "artifacts"), "own_builds": digests}


def _archives(of: Release, arch: str) -> Iterator[tuple[str, bytes]]:
    versions = {"kubernetes": of.kubernetes, "etcd": of.etcd, "cni-plugins": of.cni_plugins}
    versions |= {"containerd": of.containerd, "runc": of.runc, "crictl": of.crictl}
    for name, version in versions.items():
        one = artifact(name, version, arch)
        binaries = {path: binary_of(binary, arch) for binary, path in one.members.items()}
        content = binaries or {"bridge": binary_of("bridge", arch)}
        yield one.path, tarball(content) if one.is_archive else binary_of(name, arch)


def binary_of(name: str, arch: str) -> bytes:
    """What a made-up binary has in place of a program."""
    return name.encode() if arch == "amd64" else f"{name} for {arch}".encode()
