"""runc from its Go module: one static program, as upstream has it."""

import shutil
from pathlib import Path

from . import debian, go
from .workspace import Workspace

PACKAGES = ("pkg-config", "libseccomp-dev")  # and a compiler
# Source: GO_BUILD_STATIC of upstream's Makefile.
TAGS = "seccomp urfave_cli_no_docs netgo osusergo"


def build_program(version: str, product: Path, work: Workspace) -> None:
    """The program itself, not an archive; libseccomp is Debian's, linked in."""
    runc = go.module("github.com/opencontainers/runc", f"v{version}", work)
    libraries = debian.unpack(work, "libseccomp-dev") if work.architecture.foreign else None
    built = runc.build(".", tags=TAGS, cgo=True, libraries=libraries) / "runc"
    work.expect(f"runc version {version}", built, "--version")
    work.expect("libseccomp: ", built, "--version")
    shutil.copy(built, product)
