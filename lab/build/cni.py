"""The CNI project's plugins 1.3.0 from their Go module, in upstream's archive."""

from pathlib import Path

from . import archive, go
from .workspace import Workspace

VERSION = "v1.3.0"
ARCHIVE = "cni-plugins/1.3.0/cni-plugins-linux-amd64-v1.3.0.tgz"
VERSION_VARIABLE = "github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion"


def build_archive(product: Path, work: Workspace) -> None:
    """All plugins of upstream's archive, found in the sources in the same way as by upstream's build."""
    plugins = go.module("github.com/containernetworking/plugins", VERSION, work)
    folders = sorted(
        path.relative_to(plugins.directory)
        for path in plugins.directory.glob("plugins/*/*/")
        if path.parent.name in ("main", "ipam", "meta") and path.name != "windows"
    )
    binaries = plugins.build(*(f"./{folder}" for folder in folders), ldflags=f"-X {VERSION_VARIABLE}={VERSION}")
    work.expect(VERSION, binaries / "bridge")
    archive.pack_programs(product, {f"./{path.name}": path for path in sorted(binaries.iterdir())})
