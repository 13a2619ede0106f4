"""Made-up bundles, and what a directory holds."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubeinfra.artifacts.bundle import Files, pack
from kubeinfra.artifacts.bundle_index import INDEX, INDEX_DIGEST

MADE = datetime(2026, 11, 26, 13, 50, tzinfo=UTC)
FILES: Files = {
    "etcd/9.9.9/etcd.tar.gz": b"an archive" * 99,
    "etcd/9.9.9/SHA256SUMS": b"its digest\n",
    "images/registry.k8s.io_pause_9.9-amd64.tar": b"an image" * 150,
}


def packed(path: Path, files: Files = FILES, python: str | None = None, libc: str | None = None) -> Path:
    pack(path, files, "1.99.9", ("amd64", "arm64"), python, libc, MADE, lambda *_: None)
    return path


def tree(directory: Path) -> dict[str, bytes]:
    """Path -> content of all files below it."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if not path.is_dir()
    }


def members(bundle: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(bundle) as tar:
        found = [(member, tar.extractfile(member)) for member in tar]
        return [(member, content.read() if content else b"") for member, content in found]


def rewritten(bundle: Path, entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """With other members: sound as a tar file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member, content in entries:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    bundle.write_bytes(buffer.getvalue())
    return bundle


def with_index(bundle: Path, without: str = "", /, **changed: Any) -> Path:
    """With another index, whose digest is right; without: a field that it does not have."""
    (index, text), (digest, _), *others = members(bundle)
    fields = json.loads(text) | changed
    fields.pop(without, None)
    content = json.dumps(fields).encode()
    own = f"{hashlib.sha256(content).hexdigest()}  {INDEX}\n".encode()
    assert (index.name, digest.name) == (INDEX, INDEX_DIGEST)
    return rewritten(bundle, [(index, content), (digest, own), *others])
