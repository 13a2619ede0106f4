"""The CNI project's plugins from their Go module, in upstream's archive."""

from pathlib import Path

from . import archive, go
from .workspace import Workspace

VERSION_VARIABLE = "github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion"


def build_archive(version: str, product: Path, work: Workspace) -> None:
    """All plugins of upstream's archive, found in the sources in the same way as by upstream's build."""
    plugins = go.module("github.com/containernetworking/plugins", f"v{version}", work)
    folders = sorted(
        path.relative_to(plugins.directory)
        for path in plugins.directory.glob("plugins/*/*/")
        if path.parent.name in ("main", "ipam", "meta") and path.name != "windows"
    )
    binaries = plugins.build(*(f"./{folder}" for folder in folders), ldflags=f"-X {VERSION_VARIABLE}=v{version}")
    work.expect(f"v{version}", binaries / "bridge")
    archive.pack_programs(product, {f"./{path.name}": path for path in sorted(binaries.iterdir())})
