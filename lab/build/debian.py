"""Debian packages: those that a build needs on this machine, and those whose files go into an artifact."""

import os
import shutil
import subprocess
from pathlib import Path

from kubeinfra.errors import KubeinfraError

from .workspace import Workspace

OWN_LISTS = "run `sudo apt-get update`, then run this again"


def require(packages: tuple[str, ...], work: Workspace) -> None:
    """Install those packages that this machine lacks; KubeinfraError where only another user could."""
    missing = [package for package in packages if not _installed(package)]
    if not missing:
        return
    if os.geteuid() != 0:
        raise KubeinfraError(
            f"not installed here: {', '.join(missing)}; the lab's builds need them: "
            f"`sudo apt-get install {' '.join(missing)}`, then run this again"
        )
    work.run("apt-get", "update", hint=OWN_LISTS)
    install = ("apt-get", "install", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120")
    work.run(*install, *missing, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})


def unpack(work: Workspace, *packages: str) -> Path:
    """The files of these packages for the workspace's architecture, not installed; returns the root they lie under."""
    root = work.scratch / f"debian-{packages[0]}"
    for package in download(work, *packages):
        work.run("dpkg-deb", "--extract", package, root)
    return root


def find(root: Path, path: str) -> Path:
    """A file of unpacked packages: Debian 12 still has some outside usr/, its successor none."""
    for place in (root / "usr" / path, root / path):
        if place.exists():
            return place
    raise KubeinfraError(
        f"{root.name}: no {path} in the packages of this Debian; the lab's builds are made for Debian 12"
    )


def download(work: Workspace, *packages: str) -> list[Path]:
    """
    The .deb files of these packages for the workspace's architecture.

    Package lists that are empty or out of date are fetched first.
    """
    _need_apt()
    folder = work.scratch / f"packages-{packages[0]}"
    folder.mkdir()
    try:
        work.run("apt-get", *_lists(work), "download", *packages, cwd=folder)
    except KubeinfraError:
        _update(work)
        work.run("apt-get", *_lists(work), "download", *packages, cwd=folder)
    return sorted(folder.glob("*.deb"))


def _update(work: Workspace) -> None:
    """Fetch the package lists; this machine's own only root can."""
    hint = "does this machine reach its Debian mirror?" if work.architecture.foreign else OWN_LISTS
    work.run("apt-get", *_lists(work), "update", hint=hint)


def _lists(work: Workspace) -> list[str]:
    """Options for package lists of the workspace's own: those of this machine do not have another architecture."""
    if not work.architecture.foreign:
        return []
    own = work.scratch / "apt"
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (own / folder).mkdir(parents=True, exist_ok=True)
    options = {
        "APT::Architecture": work.arch,
        "APT::Architectures": work.arch,
        "Dir::State": own / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": own / "cache",
    }
    return [f"--option={name}={value}" for name, value in options.items()]


def _installed(package: str) -> bool:
    _need_apt()
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    return subprocess.run(query, capture_output=True, text=True).stdout == "installed"


def _need_apt() -> None:
    if not shutil.which("apt-get"):
        raise KubeinfraError(
            "no apt-get here: etcd and images are built from Debian packages; build on Debian or Ubuntu, "
            "or put upstream's files into artifacts_dir"
        )
