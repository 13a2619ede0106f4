"""Digests of files, cached from run to run."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubeinfra.atomic import write_whole
from kubeinfra.errors import KubeinfraError, file_errors

HEX_LENGTH = {"sha256": 64, "sha512": 128}


def is_digest(text: str) -> bool:
    """Whether this is "sha256:<64 hex digits>" or "sha512:<128 hex digits>", in lower case."""
    algorithm, _, value = text.partition(":")
    return len(value) == HEX_LENGTH.get(algorithm) and set(value) <= set("0123456789abcdef")


def published_digest(checksums: str, file: str) -> str | None:
    """
    The digest of `file` in the text of a checksum file, None if it is not there.

    Reads `sha256sum`'s lines ("<hex>  <file>") and files that hold nothing but the hex digits, as dl.k8s.io's
    do; the algorithm follows from the length.
    """
    for line in checksums.splitlines():
        value, _, name = line.strip().partition(" ")
        if name.strip().removeprefix("*").removeprefix("./") not in ("", file):
            continue
        for algorithm in HEX_LENGTH:
            if is_digest(digest := f"{algorithm}:{value.lower()}"):
                return digest
    return None


def hash_file(path: Path, algorithm: str) -> str:
    """Its digest as "<algorithm>:<hex>", read in pieces; KubeinfraError if it cannot be read."""
    with file_errors(path, "read"), path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def stamp(path: Path) -> dict[str, int]:
    """Size in bytes and mtime in nanoseconds: as long as both stay, the file is assumed to be unchanged."""
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


class Index:
    """
    The index of a cache (`index.json`), so that hundreds of megabytes are not hashed in every run.

    `files` are digests of files by absolute path, each valid as long as size and mtime stay. `pins` are digests of
    artifacts for which pins.toml has none, by artifact path: recorded at the first fetch and then final.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, dict[str, Any]] = {}
        self.pins: dict[str, str] = {}
        self._saved = ""
        self.reload()

    def reload(self) -> None:
        """Read what other processes have saved since; KubeinfraError if the file is damaged."""
        if not self.path.exists():
            return
        with file_errors(self.path, "read"):
            self._saved = self.path.read_text(encoding="utf-8")
        try:
            saved = json.loads(self._saved)
            self.files = {**saved["files"], **self.files}
            self.pins = {**self.pins, **saved["pins"]}
        except (ValueError, KeyError, TypeError) as error:
            raise KubeinfraError(
                f"{self.path}: is damaged ({error!r}); remove it: the files next to it will be checked again"
            ) from error

    def digest(self, path: Path, algorithm: str) -> str:
        """The file's digest, "<algorithm>:<hex>": remembered, or computed now. Saves nothing."""
        known = self.files.get(str(path.absolute()), {})
        if algorithm not in known or not stamp(path).items() <= known.items():
            known = stamp(path)
            self.remember(path, known, hash_file(path, algorithm))
        return f"{algorithm}:{self.files[str(path.absolute())][algorithm]}"

    def remember(self, path: Path, stamped: Mapping[str, int], digest: str) -> None:
        """Note the digest that the file had when it bore this stamp."""
        algorithm, _, value = digest.partition(":")
        known = self.files.get(str(path.absolute()), {})
        same = known if stamped.items() <= known.items() else {}
        self.files[str(path.absolute())] = {**same, **stamped, algorithm: value}

    def save(self) -> None:
        """Write it if anything is new; only one process at a time may do so."""
        text = json.dumps({"pins": self.pins, "files": self.files}, indent=1, sort_keys=True) + "\n"
        if text != self._saved:
            write_whole(self.path, text)
            self._saved = text
