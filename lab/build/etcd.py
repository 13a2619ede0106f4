"""etcd 3.4.23 from Debian's packages, in upstream's archive: etcd 3.4 itself cannot be had as a Go module."""

from pathlib import Path

from . import archive, debian
from .workspace import Workspace

VERSION = "3.4.23"


def build_tarball(product: Path, work: Workspace) -> None:
    """etcd and etcdctl, unpacked but not installed: the package would start a unit of its own."""
    programs = debian.unpack(work, "etcd-server", "etcd-client") / "usr/bin"
    work.expect(
        f"etcd Version: {VERSION}",
        programs / "etcd",
        "--version",
        hint="Debian 12 has that one: build there, or put upstream's archive into artifacts_dir",
    )
    folder = f"etcd-v{VERSION}-linux-{work.arch}"
    archive.pack_programs(product, {f"{folder}/{name}": programs / name for name in ("etcd", "etcdctl")})
