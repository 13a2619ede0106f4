"""Binaries out of a tar archive, each archive unpacked once, and gzip copies for the way to the hosts."""

import gzip
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kubeinfra.artifacts.digests import hash_file, stamp
from kubeinfra.atomic import sync, whole_directory, whole_file, write_whole
from kubeinfra.errors import KubeinfraError, file_errors

CHUNK = 1 << 20
RECORD = "index.json"


@dataclass(frozen=True)
class Member:
    """A binary on the controller: its name, where it lies, its SHA-256 in hex and its size in bytes."""

    name: str
    path: Path
    sha256: str
    size: int


def unpacked(directory: Path) -> list[Member] | None:
    """What `unpack` put there; None if it never did, or if a file is no longer the one it wrote."""
    try:
        record = json.loads((directory / RECORD).read_text(encoding="utf-8"))
        for name, entry in record.items():
            if not stamp(directory / name).items() <= entry.items():
                return None
        return [Member(name, directory / name, entry["sha256"], entry["size"]) for name, entry in record.items()]
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return None  # whatever is wrong, unpacking again repairs it


def unpack(archive: Path, members: Mapping[str, str], directory: Path) -> None:
    """
    Put members (name -> path in the archive; none: every executable file) into a directory of their own.

    The directory gets its name when all is in it and on the disk. KubeinfraError if the archive is not a tar
    file, lacks a member, or holds something else than a regular file under its name.
    """
    _fill(directory, lambda part: _written(archive, members, part))


def place(file: Path, name: str, directory: Path) -> None:
    """As `unpack`, for a file that is no archive but the binary itself, which gets this name."""
    _fill(directory, lambda part: [_copied(file, part / name)])


def _fill(directory: Path, write: Callable[[Path], Iterable[Path]]) -> None:
    with whole_directory(directory, 0o755) as part:
        with ThreadPoolExecutor() as pool:  # hashlib and fsync let go of the interpreter
            entries = {path.name: pool.submit(_entry, path) for path in write(part)}
        record = {name: entry.result() for name, entry in sorted(entries.items())}
        write_whole(part / RECORD, json.dumps(record, indent=1))
        shutil.rmtree(directory, ignore_errors=True)


def _copied(file: Path, target: Path) -> Path:
    with file_errors(file, "read"):
        shutil.copyfile(file, target)
    target.chmod(0o755)
    return target


def compress(copies: Mapping[Path, Path]) -> None:
    """Write gzip copies (level 1, always the same bytes), all cores at work; copies: copy -> file to read."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # zlib lets go of the interpreter
        list(pool.map(_compress, copies, copies.values()))


def _compress(target: Path, source: Path) -> None:
    with (
        source.open("rb") as plain,
        whole_file(target) as file,
        gzip.GzipFile("", "wb", 1, file, mtime=0) as zipped,
    ):
        shutil.copyfileobj(plain, zipped, CHUNK)


def _written(archive: Path, members: Mapping[str, str], directory: Path) -> Iterator[Path]:
    """Write the members one by one; each path is given when its file is complete."""
    missing = set(members)
    with _reading(archive) as tar:
        for name, entry in _chosen(archive, tar, members):
            content = tar.extractfile(entry)
            assert content is not None, "a regular file has content"
            with (directory / name).open("xb") as file:
                shutil.copyfileobj(content, file, CHUNK)
            (directory / name).chmod(0o755)
            yield directory / name
            missing.discard(name)
            if members and not missing:
                return  # the rest of a server tarball is hundreds of megabytes of images
    if missing or not any(directory.iterdir()):
        lacking = ", ".join(members[name] for name in sorted(missing)) or "executable file"
        raise KubeinfraError(f"{archive}: holds no {lacking}; get the archive again, or build it with all members")


def _chosen(
    archive: Path, tar: Iterable[tarfile.TarInfo], members: Mapping[str, str]
) -> Iterator[tuple[str, tarfile.TarInfo]]:
    names = {path: name for name, path in members.items()}
    for entry in tar:
        path = entry.name.removeprefix("./")
        if members:
            if path not in names:
                continue
            _require(entry.isreg(), archive, entry)
            yield names[path], entry
        elif entry.isreg() and entry.mode & 0o111:
            _require(path == PurePosixPath(path).name and path not in ("", "..", RECORD), archive, entry)
            yield path, entry


def _require(good: bool, archive: Path, entry: tarfile.TarInfo) -> None:
    if not good:
        raise KubeinfraError(
            f"{archive}: {entry.name} must be a regular file with a plain name; "
            "this is no archive of upstream's form: get it again, or build it so"
        )


def _entry(path: Path) -> dict[str, str | int]:
    sync(path)
    return {"sha256": hash_file(path, "sha256").removeprefix("sha256:"), **stamp(path)}


@contextmanager
def _reading(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive, "r|*", bufsize=CHUNK) as tar:
            yield tar
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise KubeinfraError(f"{archive}: is not a readable tar archive ({error}); get it again") from error
