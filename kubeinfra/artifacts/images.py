"""Container images as tar files, in the form of `docker save`: for machines that pull from no registry."""

import hashlib
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubeinfra.errors import KubeinfraError, file_errors


@dataclass(frozen=True)
class Image:
    """A tar file that `docker load` reads, and which image it holds."""

    reference: str
    """As in a pod: "registry.k8s.io/pause:<tag>"; the tar holds this very tag."""
    label: str
    """The reference as shown to users, followed by " (built)" if it is not upstream's."""
    image_id: str
    """ "sha256:<hex>", what `docker images --no-trunc` shows once it is loaded."""
    path: Path
    sha256: str
    """Of the tar file, in hex."""


def image_path(reference: str, arch: str) -> str:
    """
    Path of an image's tar file in an artifact directory: "/" and ":" of its reference become "_".

    Example: "registry.k8s.io/pause:1" for amd64 is "images/registry.k8s.io_pause_1-amd64.tar".
    """
    return f"images/{reference.replace('/', '_').replace(':', '_')}-{arch}.tar"


def image_id(path: Path, reference: str, arch: str) -> str:
    """
    The ID that Docker gives to the image in this tar: the SHA-256 of its configuration, as "sha256:<hex>".

    KubeinfraError if the tar is not what `docker save` writes, or holds another image or architecture.
    """
    try:
        with file_errors(path, "read"), tarfile.open(path) as tar:
            manifest = json.loads(_content(tar, "manifest.json"))
            tags = {tag: image["Config"] for image in manifest for tag in image["RepoTags"] or ()}
            config = _content(tar, tags[reference]) if reference in tags else b""
            found = str(json.loads(config)["architecture"]) if config else ""
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        raise KubeinfraError(
            f"{path}: is not a tar file of `docker save` ({error}); make it with "
            f"`docker save {reference} -o {path}`, or remove it and let the nodes pull"
        ) from error
    _require_image(path, reference, arch, sorted(tags), found)
    return f"sha256:{hashlib.sha256(config).hexdigest()}"


def _require_image(path: Path, reference: str, arch: str, tags: list[str], found: str) -> None:
    if not found:
        held = ", ".join(tags) or "an image without a tag"
        raise KubeinfraError(
            f"{path}: holds {held}, wanted {reference}; load it, then "
            f"`docker tag IMAGE {reference}` and `docker save {reference} -o {path}`"
        )
    if found != arch:
        raise KubeinfraError(
            f"{path}: holds {reference} for {found}, wanted {arch}; "
            f"`docker pull --platform linux/{arch} {reference}` and save it again"
        )


def _content(tar: tarfile.TarFile, name: str) -> bytes:
    file: Any = tar.extractfile(name)  # None for a directory: a TypeError of its own
    if file is None:
        raise ValueError(f"{name} is not a file")
    content: bytes = file.read()
    return content
