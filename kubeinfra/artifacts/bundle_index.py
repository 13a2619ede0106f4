"""
The index of a bundle: what is in it, and which digests its files have.

    bundle.json            this index
    bundle.json.sha256     its digest, as `sha256sum` writes it
    <name>/<version>/<file>, images/<file>      as in artifacts_dir
    wheels/<file>          Python packages for the controller

Needs the standard library only: the way back runs before anything is installed.
"""

from __future__ import annotations

import json
import platform
import re
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kubeinfra.errors import KubeinfraError, file_errors

FORMAT = 1
INDEX = "bundle.json"
INDEX_DIGEST = f"{INDEX}.sha256"
WHEELS = "wheels"


@dataclass(frozen=True)
class Entry:
    """What a file must be: SHA-256 in hex, and size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class BundleIndex:
    """
    What a bundle says of itself.

    + kubernetes: the release that it is for; + arches: of the machines, "amd64" or "arm64"
    + made: when, as ISO 8601 in UTC; + python: see `this_python`, None if it holds no Python packages
    + libc: see `this_libc`, None if it holds no Python packages, or comes from a checkout that did not ask
    + files: path in the bundle -> what is there
    """

    kubernetes: str
    arches: tuple[str, ...]
    made: str
    python: str | None
    libc: str | None
    files: Mapping[str, Entry]

    def __str__(self) -> str:
        """For whom it is: "Kubernetes X.Y.Z for amd64"."""
        return f"Kubernetes {self.kubernetes} for {' and '.join(self.arches)}"

    def text(self) -> str:
        """As JSON; always the same text for the same index."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n"


def this_python() -> str:
    """The Python that runs this, as far as packages must fit it: "3.11 linux-x86_64"."""
    return f"{sys.version_info[0]}.{sys.version_info[1]} {sysconfig.get_platform()}"


def this_libc() -> str:
    """The C library of this machine, as far as packages must fit it: "glibc 2.36"; "no glibc" if it is musl."""
    name, version = platform.libc_ver()
    return f"glibc {version}" if name == "glibc" else "no glibc"


def runs_with(libc: str, here: str) -> bool:
    """Whether packages that were collected with one C library run with another: of its kind, and not older."""
    (kind, _, least), (own, _, version) = libc.rpartition(" "), here.rpartition(" ")
    return kind == own and _numbers(least) <= _numbers(version)


def parsed(text: str, where: Path) -> BundleIndex:
    """The index in this text; KubeinfraError, which names `where`, if it is none that this checkout understands."""
    try:
        found: dict[str, Any] = json.loads(text)
        if found["format"] != FORMAT:
            raise KubeinfraError(
                f"{where}: is a bundle of format {found['format']}, this checkout reads format {FORMAT}; "
                "use the checkout that made it, or make it again with this one"
            )
        files = {path: Entry(str(entry["sha256"]), int(entry["size"])) for path, entry in found["files"].items()}
        arches = tuple(str(arch) for arch in found["arches"])
        index = BundleIndex(
            str(found["kubernetes"]), arches, str(found["made"]), found["python"], found.get("libc"), files
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KubeinfraError(f"{where}: its index cannot be read ({error!r}); make the bundle again") from error
    if strange := [path for path in files if not _is_plain(path)]:
        raise KubeinfraError(f"{where}: its index lists {strange[0]!r}, which no bundle holds; make it again")
    return index


def bundle_in(directory: Path) -> BundleIndex | None:
    """Of which bundle a directory is, None if of none; KubeinfraError if its index cannot be read."""
    path = directory / INDEX
    if not path.exists():
        return None
    with file_errors(path, "read"):
        return parsed(path.read_text(encoding="utf-8", errors="replace"), path)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _is_plain(path: str) -> bool:
    """Whether it stays below the directory into which it is unpacked, and is no other file's."""
    return path not in (INDEX, INDEX_DIGEST) and all(part.strip(".") for part in path.split("/")) and "\0" not in path
