"""Container images as `docker load` reads them, written without a container engine."""

import hashlib
import json
import shutil
import tarfile
from io import BytesIO
from pathlib import Path

from kubeinfra.artifacts.digests import hash_file

from . import architecture, archive, debian
from .workspace import Workspace

PATH = "/opt/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def save(product: Path, reference: str, root: Path, *, entrypoint: list[str], command: list[str] | None = None) -> None:
    """
    An image of one layer with the files below `root`, in the layout of `docker save`.

    It is for the architecture that its entrypoint was built for. The layer is written next to `root` first. Source: the
    image specification v1.2 of Moby.
    """
    layer = root.with_suffix(".layer.tar")
    archive.pack_tree(layer, root)
    digest = hash_file(layer, "sha256")
    config = _document(
        {
            "architecture": _architecture(root, entrypoint[0]),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Env": [f"PATH={PATH}"], "Entrypoint": entrypoint, "Cmd": command},
            "rootfs": {"type": "layers", "diff_ids": [digest]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "kubeinfra lab.build"}],
        }
    )
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{digest.removeprefix('sha256:')}/layer.tar"
    manifest = _document([{"Config": config_name, "RepoTags": [reference], "Layers": [layer_name]}])
    with tarfile.open(product, "w", format=tarfile.GNU_FORMAT) as tar:
        _add(tar, "manifest.json", manifest)
        _add(tar, config_name, config)
        tar.add(layer, layer_name, filter=archive.anonymous)


def add_busybox(root: Path, work: Workspace) -> None:
    """Debian's static busybox at /bin/busybox, with a link for each of its commands."""
    busybox = debian.find(debian.unpack(work, "busybox-static"), "bin/busybox")
    install(busybox, root / "bin/busybox")
    for command in work.run(busybox, "--list").split():
        if command != "busybox":
            (root / "bin" / command).symlink_to("busybox")


def install(program: Path, place: Path) -> None:
    """Copy an executable to its place in an image's root, whose directories are made."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(program, place)
    place.chmod(0o755)


def _architecture(root: Path, program: str) -> str:
    place = root / program.lstrip("/")
    return architecture.of_program(place.parent / place.readlink() if place.is_symlink() else place)


def _document(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, BytesIO(content))
