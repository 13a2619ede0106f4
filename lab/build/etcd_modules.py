"""etcd 3.5 and newer from its Go modules, in upstream's archive; etcd.py has the one before."""

from pathlib import Path

from . import archive, go
from .workspace import Workspace

# Module -> the program that upstream makes of it. `go build` names it after the last part that is no version.
PROGRAMS = {"server": "etcd", "etcdctl": "etcdctl", "etcdutl": "etcdutl"}


def build_tarball(version: str, product: Path, work: Workspace) -> None:
    """etcd, etcdctl and etcdutl, in one build: they share nearly all of their code."""
    modules = [f"go.etcd.io/etcd/{name}/v3" for name in PROGRAMS]
    binaries = go.requiring(dict.fromkeys(modules, f"v{version}"), work).build(*modules)
    work.expect(f"etcd Version: {version}", binaries / "server", "--version")
    work.expect(f"etcdctl version: {version}", binaries / "etcdctl", "version")
    work.expect(f"etcdutl version: {version}", binaries / "etcdutl", "version")
    folder = f"etcd-v{version}-linux-{work.arch}"
    archive.pack_programs(product, {f"{folder}/{program}": binaries / built for built, program in PROGRAMS.items()})
