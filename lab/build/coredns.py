"""CoreDNS from its Go module, in an image."""

from pathlib import Path

from . import go, images
from .workspace import Workspace


def build_image(reference: str, product: Path, work: Workspace) -> None:
    """The one program, as in upstream's image; for -checklinkname=0 see kubernetes.py."""
    root, tag = work.scratch / "coredns", reference.rpartition(":")[2]
    binaries = go.module("github.com/coredns/coredns", tag, work).build(".", ldflags="-checklinkname=0")
    work.expect(f"CoreDNS-{tag.removeprefix('v')}", binaries / "coredns", "-version")
    images.install(binaries / "coredns", root / "coredns")
    images.save(product, reference, root, entrypoint=["/coredns"])
