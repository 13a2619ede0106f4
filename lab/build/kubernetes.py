"""Kubernetes 1.20.15 from its Go module: upstream's server tarball, and two images of the same sources."""

from pathlib import Path

from . import archive, go, images
from .workspace import Workspace

VERSION = "v1.20.15"
STAGING = "v0.20.15"  # the modules that lie in kubernetes/staging are published under this number
TARBALL = "kubernetes/1.20.15/kubernetes-server-linux-amd64.tar.gz"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet", "kube-proxy")

PAUSE = "registry.k8s.io/pause:3.2"
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.45"

# Upstream's pins of 2020 do not compile with a Go of today; these do.
PINS = {"github.com/modern-go/reflect2": "v1.0.2", "golang.org/x/sys": "v0.1.0"}


def build_tarball(product: Path, work: Workspace) -> None:
    """The server tarball, with the six programs that the deploy installs."""
    kubernetes = _module(work)
    _generate_openapi(kubernetes)
    binaries = kubernetes.build(*(f"./cmd/{program}" for program in PROGRAMS), ldflags=_ldflags())
    work.expect(f"Kubernetes {VERSION}", binaries / "kubelet", "--version")
    work.expect('Major:"1", Minor:"20"', binaries / "kube-apiserver", "--version=raw")
    archive.pack_programs(product, {f"kubernetes/server/bin/{program}": binaries / program for program in PROGRAMS})


def build_agnhost(product: Path, work: Workspace) -> None:
    """The e2e tests' image: a small web server and client, and busybox where upstream's has Alpine."""
    root = work.scratch / "agnhost"
    binaries = _module(work).build("./test/images/agnhost", ldflags=_ldflags())
    images.install(binaries / "agnhost", root / "agnhost")
    images.add_busybox(root, work)
    images.save(product, AGNHOST, root, entrypoint=["/agnhost"], command=["pause"])


def build_pause(product: Path, work: Workspace) -> None:
    """The pod's first process, compiled from upstream's one C file."""
    root = work.scratch / "pause"
    root.mkdir()
    code = go.module("k8s.io/kubernetes", VERSION, work).directory / "build/pause/linux/pause.c"
    work.run("gcc", "-Os", "-static", "-s", "-DVERSION=3.2-built", "-o", root / "pause", code)
    work.expect("3.2-built", root / "pause", "-v")
    images.save(product, PAUSE, root, entrypoint=["/pause"])


def _module(work: Workspace) -> go.Module:
    """The sources, with the staging modules as they are published: the module lacks their folder."""
    kubernetes = go.module("k8s.io/kubernetes", VERSION, work)
    lines = (kubernetes.directory / "go.mod").read_text().splitlines()
    staged = {line.split()[0]: STAGING for line in lines if "=> ./staging/" in line}
    kubernetes.replace(staged | PINS)
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
    generated = output / "k8s.io/kubernetes/pkg/generated/openapi/zz_generated.openapi.go"
    generated.rename(kubernetes.directory / "pkg/generated/openapi" / generated.name)


def _openapi_packages(kubernetes: go.Module) -> list[str]:
    """The programs' dependencies that ask for openapi definitions, by a tag in their sources."""
    listed = kubernetes.go("list", "-deps", "-f", "{{.ImportPath}} {{.Dir}}", *(f"./cmd/{p}" for p in PROGRAMS))
    packages = dict(line.split() for line in listed.splitlines())
    return [package for package, directory in packages.items() if _wants_openapi(Path(directory))]


def _wants_openapi(directory: Path) -> bool:
    sources = (path for path in directory.glob("*.go") if not path.name.endswith("_test.go"))
    return any(b"+k8s:openapi-gen=" in path.read_bytes() for path in sources)


def _ldflags() -> str:
    """
    The version in both places that programs read, or /version is empty and CoreDNS misjudges the release.

    -checklinkname=0: sources of 2020 reach into Go's runtime by a way that newer Go forbids.
    """
    major, minor, _ = VERSION.removeprefix("v").split(".")
    values = {"gitVersion": VERSION, "gitMajor": major, "gitMinor": minor}
    settings = [
        f"-X {package}.{name}={value}"
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for name, value in values.items()
    ]
    return " ".join(("-checklinkname=0", *settings))
