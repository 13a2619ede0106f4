"""Releases and images for simulated machines: archives of upstream's form with a line of text for each binary."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from simulated import RELEASE

from kubeinfra.artifacts.images import image_path
from kubeinfra.releases.catalogue import artifact, release
from tests.unit.artifact_files import put, saved, tarball


def made_up_artifacts(directory: Path, version: str = RELEASE) -> dict[str, Any]:
    """The settings of a user who built everything for this release: artifacts_dir and own_builds."""
    newest = release(version)
    versions = {"kubernetes": newest.kubernetes, "etcd": newest.etcd, "cni-plugins": newest.cni_plugins}
    versions |= {"containerd": newest.containerd, "runc": newest.runc, "crictl": newest.crictl}
    own = {}
    for name, version in versions.items():
        one = artifact(name, version, "amd64")
        members = {path: binary.encode() for binary, path in one.members.items()} or {"bridge": b"bridge"}
        own[one.path] = tarball(members) if one.is_archive else name.encode()
    image, _ = saved([newest.pause_image])
    own[image_path(newest.pause_image, "amd64")] = image
    for path, content in own.items():
        put(directory / "artifacts" / path, content)
    digests = {path: f"sha256:{sha256(content).hexdigest()}" for path, content in own.items()}
    return {"artifacts_dir": str(directory / "artifacts"), "own_builds": digests}
