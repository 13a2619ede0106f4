"""Archives that come out the same, byte for byte, whenever the same files go in."""

import gzip
import tarfile
from collections.abc import Mapping
from pathlib import Path


def pack_programs(product: Path, programs: Mapping[str, Path]) -> None:
    """A .tar.gz of executables: name in the archive -> file. Packed fast, not small: it stays nearby."""
    with (
        product.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for name, program in programs.items():
            tar.add(program, name, filter=anonymous)


def pack_tree(product: Path, root: Path) -> None:
    """A plain .tar of everything below a directory, names relative to it."""
    with tarfile.open(product, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(root.iterdir()):
            tar.add(path, path.name, filter=anonymous)


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The member without what differs from one build to the next: owner, time, and the builder's umask."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member
