"""CoreDNS 1.10.1 from its Go module, in an image: newer ones need an API that Kubernetes 1.20 lacks."""

from pathlib import Path

from . import go, images
from .workspace import Workspace

VERSION = "v1.10.1"
IMAGE = f"registry.k8s.io/coredns/coredns:{VERSION}"


def build_image(product: Path, work: Workspace) -> None:
    """The one program, as in upstream's image; for -checklinkname=0 see kubernetes.py."""
    root = work.scratch / "coredns"
    binaries = go.module("github.com/coredns/coredns", VERSION, work).build(".", ldflags="-checklinkname=0")
    work.expect(f"CoreDNS-{VERSION.removeprefix('v')}", binaries / "coredns", "-version")
    images.install(binaries / "coredns", root / "coredns")
    images.save(product, IMAGE, root, entrypoint=["/coredns"])
