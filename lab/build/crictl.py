"""crictl from its Go module, in upstream's archive."""

from pathlib import Path

from . import archive, go
from .workspace import Workspace


def build_archive(version: str, product: Path, work: Workspace) -> None:
    """The one program; upstream's test program is an archive of its own."""
    tools = go.module("sigs.k8s.io/cri-tools", f"v{version}", work)
    ldflags = f"-X sigs.k8s.io/cri-tools/pkg/version.Version={version}"
    crictl = tools.build("./cmd/crictl", ldflags=ldflags) / "crictl"
    work.expect(f"crictl version {version}", crictl, "--version")
    archive.pack_programs(product, {"crictl": crictl})
