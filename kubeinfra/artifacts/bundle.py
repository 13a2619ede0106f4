"""A bundle: one tar file with all that a controller without a network needs; `unbundle` is the way back."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath

from kubeinfra.artifacts.bundle_index import INDEX, INDEX_DIGEST, BundleIndex, Entry
from kubeinfra.artifacts.digests import hash_file
from kubeinfra.artifacts.download import Progress
from kubeinfra.artifacts.images import image_path
from kubeinfra.artifacts.sources import Pin
from kubeinfra.artifacts.store import Store
from kubeinfra.atomic import whole_file
from kubeinfra.errors import KubeinfraError
from kubeinfra.releases.catalogue import Artifact

Files = dict[str, Path | bytes]
"""Path in the bundle -> the file here, or its content."""


def gather(store: Store, artifacts: Iterable[Artifact], images: Iterable[tuple[str, str]]) -> Files:
    """
    Archives and images (reference, architecture) in the layout of artifacts_dir, fetched where they are missing.

    With the checksum files that an artifacts_dir needs for archives without a pin. One KubeinfraError has all errors.
    """
    files: Files = {}
    problems: list[str] = []
    try:
        archives = store.archives(artifacts)
        files |= {artifact.path: path for artifact, (path, _) in archives.items()}
        files |= _checksums({one: pin for one, (_, pin) in archives.items() if store.needs_checksum(one)})
    except KubeinfraError as error:
        problems += error.problems
    try:
        found = store.fetch_images(images)
        files |= {image_path(reference, arch): image.path for (reference, arch), image in found.items()}
    except KubeinfraError as error:
        problems += error.problems
    if problems:
        raise KubeinfraError(*problems)
    return files


def pack(
    bundle: Path,
    files: Files,
    kubernetes: str,
    arches: tuple[str, ...],
    python: str | None,
    libc: str | None,
    made: datetime,
    progress: Progress,
) -> BundleIndex:
    """Write these files, after an index of them; the bundle gets its name when it is complete and on the disk."""
    progress("reading all files for their digests", 0, None)
    entries = {path: _entry(files[path]) for path in sorted(files)}
    index = BundleIndex(kubernetes, arches, made.isoformat(timespec="seconds"), python, libc, entries)
    text = index.text().encode()
    total = sum(entry.size for entry in entries.values())
    with whole_file(bundle) as file, tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, INDEX, text)
        _add(tar, INDEX_DIGEST, f"{hashlib.sha256(text).hexdigest()}  {INDEX}\n".encode())
        for path in entries:
            progress(f"packing {path}", file.tell(), total)
            _add(tar, path, files[path])
    return index


def _checksums(pins: Mapping[Artifact, Pin]) -> dict[str, bytes]:
    """Of upstream's checksum files those lines that were checked, at the places where a Store looks for them."""
    lines: dict[str, list[str]] = {}
    for artifact, pin in pins.items():
        path = PurePosixPath(artifact.path).with_name(artifact.checksum_url.rpartition("/")[2])
        lines.setdefault(str(path), []).append(f"{pin.digest.partition(':')[2]}  {artifact.file}\n")
    return {path: "".join(sorted(text)).encode() for path, text in lines.items()}


def _entry(content: Path | bytes) -> Entry:
    if isinstance(content, bytes):
        return Entry(hashlib.sha256(content).hexdigest(), len(content))
    return Entry(hash_file(content, "sha256").removeprefix("sha256:"), content.stat().st_size)


def _add(tar: tarfile.TarFile, name: str, content: Path | bytes) -> None:
    member = tarfile.TarInfo(name)
    member.mode = 0o644
    member.size = len(content) if isinstance(content, bytes) else content.stat().st_size
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        tar.addfile(member, file)
