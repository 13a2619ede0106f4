"""
python3 -m kubeinfra.artifacts.unbundle BUNDLE [DIRECTORY]: the way back, on a controller without a network.

Needs the standard library only: nothing is installed yet.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kubeinfra.artifacts.answers import NO_FILE, is_page
from kubeinfra.artifacts.bundle_index import (
    INDEX,
    INDEX_DIGEST,
    WHEELS,
    BundleIndex,
    Entry,
    bundle_in,
    parsed,
    runs_with,
    this_libc,
    this_python,
)
from kubeinfra.atomic import sync, whole_directory, write_whole
from kubeinfra.errors import KubeinfraError, file_errors

CHUNK = 1 << 20
NAME_IT = "name the file that `make bundle` has made, or copy it again"
AGAIN = "it was not copied whole, or was changed; copy it again"


def unbundle(bundle: Path, directory: Path) -> BundleIndex:
    """
    Unpack a bundle into a directory that is then fit for artifacts_dir, each file checked against the index.

    The directory gets its name when all is in it and on the disk. One that came from a bundle, and has nothing else in
    it, is replaced. KubeinfraError, and nothing is changed, if the bundle is none, is cut off, was changed, or has
    Python packages for another Python or C library.
    """
    with _reading(bundle) as tar:
        index = _index(bundle, tar)
        _require_fitting(bundle, index)
        _require_replaceable(directory)
        old = directory.with_name(f".{directory.name}.old")
        with whole_directory(directory, 0o755) as part:
            _unpack(bundle, tar, index, part)
            shutil.rmtree(old, ignore_errors=True)
            if directory.exists():
                directory.rename(old)
        shutil.rmtree(old, ignore_errors=True)
    return index


@contextmanager
def _reading(bundle: Path) -> Iterator[tarfile.TarFile]:
    with file_errors(bundle, "read"), bundle.open("rb") as file:
        beginning = file.read(tarfile.BLOCKSIZE)
    try:
        tarfile.TarInfo.frombuf(beginning, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        what = NO_FILE if is_page(beginning) else f"no tar file ({error})"
        raise KubeinfraError(f"{bundle}: is {what}; {NAME_IT}") from error
    try:
        with tarfile.open(bundle, "r|", bufsize=CHUNK) as tar:
            yield tar
    # Beyond its own errors tarfile lets those of damaged numbers and names through.
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise KubeinfraError(f"{bundle}: ends too early, or is damaged ({error}); {AGAIN}") from error


def _index(bundle: Path, tar: tarfile.TarFile) -> BundleIndex:
    """The first two members: the index, and its digest."""
    first = tar.next()
    if first is None or first.name != INDEX:
        held = "nothing" if first is None else repr(first.name)
        raise KubeinfraError(f"{bundle}: is a tar file, but no bundle: it begins with {held}; {NAME_IT}")
    text = _content(tar, first)
    second = tar.next()
    wanted = _content(tar, second).decode().split() if second and second.name == INDEX_DIGEST else []
    found = hashlib.sha256(text).hexdigest()
    if wanted != [found, INDEX]:
        raise KubeinfraError(f"{bundle}: {INDEX} has sha256:{found}, wanted {' '.join(wanted[:1])}; {AGAIN}")
    return parsed(text.decode(), bundle)


def _require_fitting(bundle: Path, index: BundleIndex) -> None:
    if index.python and index.python != this_python():
        raise KubeinfraError(
            f"{bundle}: has packages for Python {index.python}, this is Python {this_python()}; name the right one "
            f"(make unbundle PYTHON=python{index.python.split()[0]}), or make the bundle with a Python like this one"
        )
    if index.libc and not runs_with(index.libc, this_libc()):
        raise KubeinfraError(
            f"{bundle}: has packages for a machine with {index.libc}, this one has {this_libc()}; make the bundle on a "
            "machine like this one, with the same libc or an older version of it"
        )


def _require_replaceable(directory: Path) -> None:
    with file_errors(directory, "read"):
        if not directory.exists() or not any(directory.iterdir()):
            return
        index = bundle_in(directory)
        known = {INDEX, *index.files} if index else set()
        files = (path.relative_to(directory) for path in sorted(directory.rglob("*")) if not path.is_dir())
        stray = next((path for path in files if path.as_posix() not in known), None)
    if index is None or stray:
        raise KubeinfraError(
            f"{directory}: holds {stray or 'directories'}, which no bundle brought; "
            "name another directory (make unbundle INTO=...), or move that away"
        )


def _unpack(bundle: Path, tar: tarfile.TarFile, index: BundleIndex, directory: Path) -> None:
    missing = dict(index.files)
    while member := tar.next():  # iterating would begin with the first again
        entry = missing.pop(member.name, None)
        if entry is None or not member.isreg():
            raise KubeinfraError(f"{bundle}: holds {member.name!r}, which its index does not list; {AGAIN}")
        _write(bundle, tar, member, directory / member.name, entry)
    if missing:
        raise KubeinfraError(
            f"{bundle}: lacks {len(missing)} of its {len(index.files)} files, {min(missing)} is the first; {AGAIN}"
        )
    write_whole(directory / INDEX, index.text())
    for below in [path for path in directory.rglob("*") if path.is_dir()]:
        sync(below)


def _write(bundle: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, entry: Entry) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    hasher = hashlib.sha256()
    content = _opened(tar, member)
    with path.open("xb") as file:
        while chunk := content.read(CHUNK):
            hasher.update(chunk)
            file.write(chunk)
    if (hasher.hexdigest(), member.size) != (entry.sha256, entry.size):
        raise KubeinfraError(
            f"{bundle}: {member.name} has sha256:{hasher.hexdigest()}, wanted sha256:{entry.sha256}; {AGAIN}"
        )
    path.chmod(0o644)
    sync(path)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    return _opened(tar, member).read()


def _opened(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    if content is None:
        raise tarfile.ReadError(f"{member.name} is not a file")
    return content


def _summary(index: BundleIndex, directory: Path) -> str:
    tops = [path.split("/")[0] for path in index.files]
    images, packages = tops.count("images"), tops.count(WHEELS)
    size = sum(entry.size for entry in index.files.values()) / 1e6
    return (
        f"{directory}: {index}, packed {index.made}, {size:.0f} MB: images {images}, Python packages {packages}, "
        f"other files {len(tops) - images - packages}, all with the digests of the index\n"
        f'Write into group_data/all.py:  artifacts_dir = "{directory.absolute()}"'
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m kubeinfra.artifacts.unbundle", description="unpack a bundle")
    parser.add_argument("bundle", type=Path, help="the file that `make bundle` has made")
    parser.add_argument("directory", type=Path, nargs="?", default=Path("artifacts"), help="by default artifacts")
    options = parser.parse_args(arguments)
    try:
        print(_summary(unbundle(options.bundle, options.directory), options.directory))
    except KubeinfraError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
