"""What has been built already: one JSON file next to the artifacts, so that nobody need read them again."""

import json
from pathlib import Path
from typing import Any

from kubeinfra.artifacts.digests import hash_file, stamp
from kubeinfra.atomic import write_whole
from kubeinfra.errors import KubeinfraError

NAME = "built.json"


def digest(directory: Path, path: str, recipe: str) -> str | None:
    """The "sha256:<hex>" of an artifact that is there, untouched since, and built by this recipe; or None."""
    entry, artifact = _read(directory).get(path), directory / path
    if entry is None or not artifact.is_file():
        return None
    unchanged = {"recipe": recipe, **stamp(artifact)}.items() <= entry.items()
    return str(entry["digest"]) if unchanged else None


def add(directory: Path, path: str, recipe: str) -> None:
    """Take the artifact at this path into the index. Only one process may do so at a time."""
    artifact = directory / path
    entry = {"recipe": recipe, "digest": hash_file(artifact, "sha256"), **stamp(artifact)}
    write_whole(directory / NAME, json.dumps(_read(directory) | {path: entry}, indent=1, sort_keys=True))


def _read(directory: Path) -> dict[str, dict[str, Any]]:
    try:
        text = (directory / NAME).read_text()
    except FileNotFoundError:
        return {}
    try:
        entries: dict[str, dict[str, Any]] = json.loads(text)
    except ValueError as error:
        raise KubeinfraError(
            f"{directory / NAME}: is damaged ({error}); remove it, and what it lists is built again"
        ) from error
    return entries
