"""containerd from its Go module, in upstream's static archive."""

from pathlib import Path

from . import archive, go
from .workspace import Workspace

PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr")
# Source: GO_BUILDTAGS of upstream's Makefile with STATIC set.
TAGS = "urfave_cli_no_docs osusergo netgo static_build"


def build_archive(version: str, product: Path, work: Workspace) -> None:
    """The daemon, the shim and the client; upstream's archive also has a stress test."""
    path = "github.com/containerd/containerd" + ("/v2" if version.startswith("2.") else "")
    tag = f"v{version}"
    containerd = go.module(path, tag, work)
    binaries = containerd.build(
        *(f"./cmd/{program}" for program in PROGRAMS), ldflags=f"-X {path}/version.Version={tag}", tags=TAGS
    )
    work.expect(f"{path} {tag}", binaries / "containerd", "--version")
    work.expect(tag, binaries / "ctr", "--version")
    work.expect(tag, binaries / "containerd-shim-runc-v2", "-v")
    archive.pack_programs(product, {f"bin/{program}": binaries / program for program in PROGRAMS})
