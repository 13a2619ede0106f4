"""Kubernetes from its Go module: upstream's server tarball, and two images of the same sources."""

from dataclasses import dataclass
from pathlib import Path

from . import archive, go, images
from .workspace import Workspace

PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet", "kube-proxy")
OPENAPI = "pkg/generated/openapi/zz_generated.openapi.go"


@dataclass(frozen=True)
class Sources:
    """
    One release of the module k8s.io/kubernetes.

    version: without "v"
    pins: other modules at other versions than upstream's, which do not compile with a Go of today
    """

    version: str
    pins: tuple[tuple[str, str], ...] = ()

    @property
    def tag(self) -> str:
        return f"v{self.version}"

    @property
    def staging(self) -> str:
        """The modules that lie in kubernetes/staging are published under this number."""
        return f"v0.{self.version.partition('.')[2]}"


def build_tarball(sources: Sources, product: Path, work: Workspace) -> None:
    """The server tarball, with the six programs that the deploy installs."""
    kubernetes = whole_module(sources, work)
    binaries = kubernetes.build(*(f"./cmd/{program}" for program in PROGRAMS), ldflags=ldflags(sources))
    minor = sources.version.split(".")[1]
    work.expect(f"Kubernetes {sources.tag}", binaries / "kubelet", "--version")
    work.expect(f'Major:"1", Minor:"{minor}"', binaries / "kube-apiserver", "--version=raw")
    archive.pack_programs(product, {f"kubernetes/server/bin/{program}": binaries / program for program in PROGRAMS})


def build_agnhost(sources: Sources, reference: str, product: Path, work: Workspace) -> None:
    """The e2e tests' image: a small web server and client, and busybox where upstream's has Alpine."""
    root = work.scratch / "agnhost"
    binaries = _module(sources, work).build("./test/images/agnhost", ldflags=ldflags(sources))
    images.install(binaries / "agnhost", root / "agnhost")
    images.add_busybox(root, work)
    images.save(product, reference, root, entrypoint=["/agnhost"], command=["pause"])


def build_pause(sources: Sources, reference: str, product: Path, work: Workspace) -> None:
    """The pod's first process, compiled from upstream's one C file."""
    root = work.scratch / "pause"
    root.mkdir()
    version = f"{reference.rpartition(':')[2]}-built"
    code = go.module("k8s.io/kubernetes", sources.tag, work).directory / "build/pause/linux/pause.c"
    work.run("gcc", "-Os", "-static", "-s", f"-DVERSION={version}", "-o", root / "pause", code)
    work.expect(version, root / "pause", "-v")
    images.save(product, reference, root, entrypoint=["/pause"])


def whole_module(sources: Sources, work: Workspace) -> go.Module:
    """The sources of the programs; the module of some releases lacks what upstream generates."""
    kubernetes = _module(sources, work)
    if not (kubernetes.directory / OPENAPI).exists():
        _generate_openapi(kubernetes)
    return kubernetes


def _module(sources: Sources, work: Workspace) -> go.Module:
    """The sources, with the staging modules as they are published: the module lacks their folder."""
    kubernetes = go.module("k8s.io/kubernetes", sources.tag, work)
    lines = (kubernetes.directory / "go.mod").read_text().splitlines()
    staged = {line.split()[0]: sources.staging for line in lines if "=> ./staging/" in line}
    kubernetes.replace(staged | dict(sources.pins))
    return kubernetes


def _generate_openapi(kubernetes: go.Module) -> None:
    """
    Write pkg/generated/openapi, which the apiserver needs and the module lacks.

    Source: the openapi rules of upstream's build/root/Makefile.generated_files.
    """
    output = kubernetes.directory / "generated"
    generator = kubernetes.build("k8s.io/kube-openapi/cmd/openapi-gen") / "openapi-gen"
    kubernetes.run(
        generator,
        f"--input-dirs={','.join(_openapi_packages(kubernetes))}",
        f"--output-base={output}",
        "--output-package=k8s.io/kubernetes/pkg/generated/openapi",
        "--output-file-base=zz_generated.openapi",
        "--go-header-file=hack/boilerplate/boilerplate.generatego.txt",
        f"--report-filename={output}/violations",
    )
    generated = output / "k8s.io/kubernetes" / OPENAPI
    generated.rename(kubernetes.directory / OPENAPI)


def _openapi_packages(kubernetes: go.Module) -> list[str]:
    """The programs' dependencies that ask for openapi definitions, by a tag in their sources."""
    listed = kubernetes.go("list", "-deps", "-f", "{{.ImportPath}} {{.Dir}}", *(f"./cmd/{p}" for p in PROGRAMS))
    packages = dict(line.split() for line in listed.splitlines())
    return [package for package, directory in packages.items() if _wants_openapi(Path(directory))]


def _wants_openapi(directory: Path) -> bool:
    sources = (path for path in directory.glob("*.go") if not path.name.endswith("_test.go"))
    return any(b"+k8s:openapi-gen=" in path.read_bytes() for path in sources)


def ldflags(sources: Sources) -> str:
    """
    The version in both places that programs read, or /version is empty and CoreDNS misjudges the release.

    -checklinkname=0: sources of 2020 reach into Go's runtime by a way that newer Go forbids.
    """
    major, minor, _ = sources.version.split(".")
    values = {"gitVersion": sources.tag, "gitMajor": major, "gitMinor": minor}
    settings = [
        f"-X {package}.{name}={value}"
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for name, value in values.items()
    ]
    return " ".join(("-checklinkname=0", *settings))
