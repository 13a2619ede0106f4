"""Images from registries to tar files, by a tool of others; how it logs in is its own business."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from kubeinfra.artifacts.images import image_id
from kubeinfra.atomic import whole_path
from kubeinfra.errors import KubeinfraError


def _skopeo(reference: str, arch: str, file: str) -> list[str]:
    """skopeo(1): global options before the command. A tar of `docker save` cannot hold signatures (skopeo-copy(1))."""
    platform = ["--override-os", "linux", "--override-arch", arch]
    target = f"docker-archive:{file}:{reference}"
    return [*platform, "copy", "--quiet", "--remove-signatures", f"docker://{reference}", target]


def _crane(reference: str, arch: str, file: str) -> list[str]:
    """go-containerregistry, cmd/crane/doc/crane_pull.md: its default format is the one of `docker save`."""
    return ["pull", "--platform", f"linux/{arch}", reference, file]


TOOLS: Mapping[str, Callable[[str, str, str], list[str]]] = {"skopeo": _skopeo, "crane": _crane}
"""Tool -> its arguments for a reference, an architecture and the file to write, in the working directory."""


def tool() -> str | None:
    """The first of TOOLS that is on PATH."""
    return next((name for name in TOOLS if shutil.which(name)), None)


def pull(name: str, reference: str, arch: str, path: Path) -> None:
    """
    Have this tool write the image to `path`; KubeinfraError with what it says if it fails, or writes something else.

    The file gets its name when it is known to hold the image for this architecture.
    """
    with whole_path(path) as part:
        part.unlink()  # older releases of skopeo want to make the file
        # In its directory, as ":" ends a path for skopeo.
        command = [name, *TOOLS[name](reference, arch, part.name)]
        done = subprocess.run(command, cwd=part.parent, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise KubeinfraError(f"image {reference} ({arch}): {name} cannot download it: {said}")
        try:
            image_id(part, reference, arch)
        except KubeinfraError as error:
            raise KubeinfraError(f"image {reference} ({arch}): {name} wrote something else: {error}") from error
