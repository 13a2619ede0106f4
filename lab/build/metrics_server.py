"""metrics-server from its Go module, in an image."""

from pathlib import Path

from . import go, images
from .workspace import Workspace


def build_image(reference: str, product: Path, work: Workspace) -> None:
    """The one program, as in upstream's image."""
    root, tag = work.scratch / "metrics-server", reference.rpartition(":")[2]
    server = go.module("sigs.k8s.io/metrics-server", tag, work)
    variables = ("k8s.io/client-go/pkg/version", "k8s.io/component-base/version")
    ldflags = " ".join(f"-X {package}.gitVersion={tag}" for package in variables)
    binaries = server.build("./cmd/metrics-server", ldflags=f"-checklinkname=0 {ldflags}")
    work.expect(tag, binaries / "metrics-server", "--version")
    images.install(binaries / "metrics-server", root / "metrics-server")
    images.save(product, reference, root, entrypoint=["/metrics-server"])
