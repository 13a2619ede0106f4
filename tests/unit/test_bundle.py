"""`python -m kubeinfra bundle`: what it packs, where it gets that, and what it says of what cannot be had."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from artifact_files import Server, digest, problem, put, saved, tarball
from bundle_files import members, packed, tree
from pyinfra_cli.util import PYTHON_CODES

from kubeinfra.__main__ import main
from kubeinfra.artifacts import wheels
from kubeinfra.artifacts.bundle import gather
from kubeinfra.artifacts.bundle_index import INDEX, bundle_in, this_libc, this_python
from kubeinfra.artifacts.images import image_path
from kubeinfra.artifacts.store import Store
from kubeinfra.artifacts.unbundle import unbundle
from kubeinfra.artifacts.wheels import collect
from kubeinfra.atomic import part_of
from kubeinfra.errors import KubeinfraError
from kubeinfra.releases.catalogue import Artifact, artifact, release

PAUSE, COREDNS = "registry.k8s.io/pause:9.9", "registry.k8s.io/coredns/coredns:v9"
NEW = "1.37.99"  # without a pin, as any patch that is newer than this checkout

# Writes its arguments to a file, and the tar that it finds in a directory to the place that they name.
TOOL = """\
#!{python}
import json, os, sys
from pathlib import Path
arguments = sys.argv[1:]
tool = Path(sys.argv[0]).name
with Path({log!r}).open("a") as log:
    log.write(json.dumps([tool, *arguments]) + "\\n")
if tool == "skopeo":
    source, (_, target, reference) = arguments[-2].removeprefix("docker://"), arguments[-1].split(":", 2)
    assert source == reference
    arch = arguments[arguments.index("--override-arch") + 1]
else:
    source, target = arguments[-2:]
    arch = arguments[arguments.index("--platform") + 1].removeprefix("linux/")
found = Path({registry!r}, source.replace("/", "_").replace(":", "_") + "-" + arch + ".tar")
if not found.exists():
    print("Getting image source\\nFATA reading manifest: manifest unknown", file=sys.stderr)
    sys.exit(1)
with open(target, "xb") as file:  # as older releases of skopeo do: it must not be there
    file.write(found.read_bytes())
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server().running() as server:
        yield server


class Registry:
    """A registry behind made-up tools on PATH, which is otherwise empty."""

    def __init__(self, directory: Path) -> None:
        self.bin, self.images, self.log = directory / "bin", directory / "images", directory / "log"
        self.bin.mkdir(parents=True)
        self.images.mkdir()
        self.log.touch()

    def install(self, tool: str) -> None:
        text = TOOL.format(python=sys.executable, log=str(self.log), registry=str(self.images))
        put(self.bin / tool, text.encode()).chmod(0o755)

    def push(self, reference: str, arch: str, content: bytes | None = None) -> bytes:
        content = content or saved([reference], arch)[0]
        put(self.images / Path(image_path(reference, arch)).name, content)
        return content

    def asked(self) -> list[list[str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    found = Registry(tmp_path / "registry")
    monkeypatch.setenv("PATH", str(found.bin))
    return found


def etcd(server: Server, arch: str) -> Artifact:
    """An artifact without a pin, that the server has; its checksum file is one for all architectures."""
    url = f"{server.url}/dl/etcd-{arch}.tar.gz"
    content = tarball({"etcd-v9/etcd": arch.encode()})
    server.files[f"/dl/etcd-{arch}.tar.gz"] = content
    line = f"{digest(content)[7:]}  etcd-{arch}.tar.gz\n".encode()
    server.files["/dl/SHA256SUMS"] = server.files.get("/dl/SHA256SUMS", b"") + line
    return Artifact("etcd", "9.9.9", arch, url, None, None, f"{server.url}/dl/SHA256SUMS", {"etcd": "etcd-v9/etcd"})


def test_a_bundle_is_an_artifacts_dir_for_a_store_that_reaches_nothing(
    server: Server, cache: Path, tmp_path: Path
) -> None:
    """Also for archives without a pin, whose digests come with them; those of two architectures share a file."""
    artifacts = [etcd(server, "amd64"), etcd(server, "arm64")]
    content = put(cache / image_path(PAUSE, "amd64"), saved([PAUSE])[0]).read_bytes()
    files = gather(Store(cache), artifacts, [(PAUSE, "amd64")])
    assert sorted(files) == [
        "etcd/9.9.9/SHA256SUMS",
        "etcd/9.9.9/etcd-amd64.tar.gz",
        "etcd/9.9.9/etcd-arm64.tar.gz",
        "images/registry.k8s.io_pause_9.9-amd64.tar",
    ]
    checksums = files["etcd/9.9.9/SHA256SUMS"]
    assert isinstance(checksums, bytes)
    assert sorted(checksums.splitlines()) == sorted(server.files["/dl/SHA256SUMS"].splitlines())
    assert not (cache / "extracted").exists(), "unpacking is for the controller that deploys"
    there = tmp_path / "there"
    unbundle(packed(tmp_path / "b.tar", files), there)
    server.files.clear()
    offline = Store(tmp_path / "cache-there", there)
    assert [found[0].path.read_text() for found in offline.fetch_all(artifacts).values()] == ["amd64", "arm64"]
    image = offline.image(PAUSE, "amd64")
    assert image is not None and image.path.read_bytes() == content


def test_what_has_a_pin_needs_no_checksum_file(server: Server, cache: Path, own: Path) -> None:
    pinned, built = etcd(server, "amd64"), replace(etcd(server, "arm64"), version="8")
    pinned = replace(pinned, digest=digest(server.files["/dl/etcd-amd64.tar.gz"]))
    put(own / built.path, b"mine")
    files = gather(Store(cache, own, own_builds={built.path: digest(b"mine")}), [pinned, built], [])
    assert sorted(files) == [built.path, pinned.path]


def test_all_that_cannot_be_had_is_told_at_once(server: Server, cache: Path, registry: Registry) -> None:
    missing = replace(etcd(server, "amd64"), url=f"{server.url}/nowhere", digest=digest(b"x"))
    with pytest.raises(KubeinfraError) as error:
        gather(Store(cache), [missing], [(PAUSE, "amd64"), (COREDNS, "amd64")])
    archive, images = error.value.problems
    assert archive.startswith("etcd 9.9.9 (amd64, sha256:")
    assert images == (
        "2 images have no tar file here, and neither skopeo nor crane is on PATH to download them: install one "
        f"(Debian, RHEL: package skopeo), or put files of `docker save` below {cache}: "
        "images/registry.k8s.io_pause_9.9-amd64.tar, images/registry.k8s.io_coredns_coredns_v9-amd64.tar"
    )


# Images by a tool


def test_skopeo_is_asked_for_what_is_missing_only(cache: Path, own: Path, registry: Registry) -> None:
    registry.install("skopeo")
    registry.install("crane")
    content = registry.push(PAUSE, "arm64")
    put(own / image_path(COREDNS, "arm64"), saved([COREDNS], "arm64")[0])
    store = Store(cache, own)
    found = store.fetch_images([(COREDNS, "arm64"), (PAUSE, "arm64")])
    assert [image.path for image in found.values()] == [
        own / image_path(COREDNS, "arm64"),
        cache / image_path(PAUSE, "arm64"),
    ]
    assert found[PAUSE, "arm64"].path.read_bytes() == content
    part = part_of(cache / image_path(PAUSE, "arm64")).name
    asked = ["skopeo", "--override-os", "linux", "--override-arch", "arm64", "copy", "--quiet", "--remove-signatures"]
    assert registry.asked() == [[*asked, f"docker://{PAUSE}", f"docker-archive:{part}:{PAUSE}"]]
    store.fetch_images([(PAUSE, "arm64")])
    assert len(registry.asked()) == 1


def test_crane_is_asked_where_there_is_no_skopeo(cache: Path, registry: Registry) -> None:
    registry.install("crane")
    registry.push(PAUSE, "arm64")
    (image,) = Store(cache).fetch_images([(PAUSE, "arm64")]).values()
    assert image.path == cache / image_path(PAUSE, "arm64")
    assert registry.asked() == [["crane", "pull", "--platform", "linux/arm64", PAUSE, part_of(image.path).name]]


@pytest.mark.parametrize("tool", ["skopeo", "crane"])
def test_a_tool_that_fails_is_quoted_for_each_image(tool: str, cache: Path, registry: Registry) -> None:
    registry.install(tool)
    registry.push(PAUSE, "amd64")
    with pytest.raises(KubeinfraError) as error:
        Store(cache).fetch_images([(COREDNS, "amd64"), (PAUSE, "amd64"), (PAUSE, "arm64")])
    said = f"{tool} cannot download it: FATA reading manifest: manifest unknown"
    assert error.value.problems == (f"image {COREDNS} (amd64): {said}", f"image {PAUSE} (arm64): {said}")
    assert [path.name for path in (cache / "images").iterdir()] == [Path(image_path(PAUSE, "amd64")).name]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (saved([PAUSE], "arm64")[0], f"holds {PAUSE} for arm64, wanted amd64"),
        (saved(["registry.k8s.io/pause:1"])[0], f"holds registry.k8s.io/pause:1, wanted {PAUSE}"),
        (b"<html>", "is not a tar file of `docker save`"),
    ],
    ids=["another architecture", "another tag", "page"],
)
def test_what_a_tool_wrote_is_looked_at(content: bytes, says: str, cache: Path, registry: Registry) -> None:
    """A registry gives an image of one architecture to whoever asks for another."""
    registry.install("crane")
    registry.push(PAUSE, "amd64", content)
    message = problem(lambda: Store(cache).fetch_images([(PAUSE, "amd64")]))
    assert message.startswith(f"image {PAUSE} (amd64): crane wrote something else: ")
    assert says in message
    assert list((cache / "images").iterdir()) == []


# Python packages


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that needs one package and is built with another; pip has both from a directory, and nothing else."""
    directory = tmp_path / "checkout"
    put(directory / "pyproject.toml", b'[build-system]\nrequires = ["made-up-builder>=1"]\n')
    put(directory / "constraints.txt", b"# with a remark\nmade_up==1.2\n")
    for name, version in (("made_up", "1.2"), ("made_up_builder", "3")):
        info = f"{name}-{version}.dist-info"
        subprocess.run(
            [sys.executable, "-c", WHEEL, str(tmp_path / f"{name}-{version}-py3-none-any.whl"), info, name, version],
            check=True,
        )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return directory


WHEEL = """
import sys, zipfile
path, info, name, version = sys.argv[1:]
with zipfile.ZipFile(path, "w") as wheel:
    wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(f"{info}/RECORD", "")
"""


def test_packages_are_those_of_constraints_and_of_the_build(checkout: Path, tmp_path: Path) -> None:
    found = collect(checkout, tmp_path / "wheels")
    assert [path.name for path in found] == ["made_up-1.2-py3-none-any.whl", "made_up_builder-3-py3-none-any.whl"]


def test_a_package_that_pip_cannot_have_is_named(checkout: Path, tmp_path: Path) -> None:
    put(checkout / "constraints.txt", b"made_up==7\n")
    message = problem(lambda: collect(checkout, tmp_path / "wheels"))
    assert message == (
        f"{checkout}/constraints.txt: pip cannot have its packages: No matching distribution found for made_up==7"
    )


# The command


@pytest.fixture
def project(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    The working directory, a user's own: a mirror serves the archives without a pin, the others are the user's builds.
    """
    here = tmp_path / "project"
    machines = 'master = [("m1", {"ssh_hostname": "192.168.80.10"})]\nnode = master\netcd = master\nlb = []\n'
    put(here / "inventory.py", machines.encode())
    known = release(NEW)
    versions = {"kubernetes": NEW, "etcd": "3.6.99", "containerd": known.containerd}
    built = {"runc": known.runc, "cni-plugins": known.cni_plugins, "crictl": known.crictl}
    own = {}
    for name, version in (versions | built).items():
        one = artifact(name, version, "amd64")
        content = tarball({path: name.encode() for path in one.members.values()} or {"bridge": b"x"})
        if name in built:
            put(here / "own" / one.path, content)
            own[one.path] = digest(content)
        else:
            assert one.digest is None, "upstream's digest would not be that of a made-up file"
            server.files[one.url.removeprefix("https:/")] = content
            server.files[one.checksum_url.removeprefix("https:/")] = f"{digest(content)[7:]}  {one.file}\n".encode()
    settings = {
        "cluster_name": "trial",
        "kubernetes_version": NEW,
        "etcd_version": "3.6.99",
        "artifact_mirror": f"{server.url}/{{host}}",
        "artifacts_dir": str(here / "own"),
        "cache_dir": str(here / "cache"),
        "own_builds": own,
    }
    put(here / "group_data/all.py", "".join(f"{name} = {value!r}\n" for name, value in settings.items()).encode())
    monkeypatch.chdir(here)
    return here


def kubeinfra(*arguments: str) -> int:
    """The exit code; pyinfra keeps the code of a file that it has read once, which a new process would not."""
    PYTHON_CODES.clear()
    return main([*arguments])


def test_from_a_mirror_and_a_registry_into_a_bundle_and_back(
    project: Path, server: Server, registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.install("skopeo")
    known = release(NEW)
    references = [
        known.pause_image,
        known.flannel_image,
        known.flannel_cni_plugin_image,
        known.coredns_image,
        known.metrics_server_image,
        known.verify_image,
    ]
    for reference in references:
        registry.push(reference, "amd64")
    assert kubeinfra("bundle", "inventory.py", "--no-wheels") == 0
    told = capsys.readouterr()
    name = f"kubeinfra-{NEW}-amd64.tar"
    assert told.err == ""
    assert f"{name}: Kubernetes {NEW} for amd64, " in told.out
    assert f"make unbundle BUNDLE={name}" in told.out
    assert members(project / name)[0][0].name == INDEX

    there = tmp_path / "there"
    unbundle(project / name, there)
    assert {path for path in tree(there) if path.startswith("images/")} == {
        image_path(reference, "amd64") for reference in references
    }

    # The other controller: the same settings but for the directory, its own cache, and nothing to be reached.
    server.files.clear()
    text = (project / "group_data/all.py").read_text().replace(str(project / "own"), str(there))
    text = text.replace(str(project / "cache"), str(tmp_path / "another cache"))
    put(project / "group_data/all.py", text.encode())
    assert kubeinfra("artifacts", "inventory.py") == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.count(": tar file") == len(references)
    assert "containerd " in told.out

    # Another architecture, and another release, than the bundle's.
    assert kubeinfra("artifacts", "inventory.py", "--arch", "arm64") == 1
    line = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("kubernetes "))
    assert line.startswith(f"kubernetes {NEW} (arm64, ")
    assert f"does not exist (artifacts_dir is a bundle of Kubernetes {NEW} for amd64)" in line
    put(project / "group_data/all.py", text.replace(NEW, "1.37.98").encode())
    assert kubeinfra("artifacts", "inventory.py") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("kubernetes 1.37.98 (amd64, ")
    assert f"does not exist (artifacts_dir is a bundle of Kubernetes {NEW} for amd64)" in line
    assert "Next: unpack a bundle of it (`make bundle`, `make unbundle`), or put the file at " in line


def test_a_mirror_that_answers_with_a_page_is_told_and_leaves_no_bundle(
    project: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files = dict.fromkeys(server.files, b"<!DOCTYPE html><title>Sign in</title>")
    assert kubeinfra("bundle", "inventory.py", "--no-wheels", "--no-images", "-o", "b.tar") == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 3, "one for each of kubernetes, etcd and containerd"
    assert f"/dl.k8s.io/v{NEW}/kubernetes-server-linux-amd64.tar.gz.sha512 served an HTML page" in told.err
    assert not list(project.glob("*.tar"))
    assert not [path for path in (project / "cache").rglob("*") if path.is_file() and path.parent.name != "cache"]


@pytest.mark.parametrize("has_packages", [True, False])
def test_a_bundle_with_packages_says_what_they_fit(
    has_packages: bool, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = put(tmp_path / "made_up-1-py3-none-any.whl", b"x")
    monkeypatch.setattr(wheels, "collect", lambda *_: [package])
    options = ["--no-images", "-o", "b.tar", *([] if has_packages else ["--no-wheels"])]
    assert kubeinfra("bundle", "inventory.py", *options) == 0
    index = unbundle(project / "b.tar", tmp_path / "there")
    assert (f"wheels/{package.name}" in index.files) is has_packages
    assert (index.python, index.libc) == ((this_python(), this_libc()) if has_packages else (None, None))


def test_an_architecture_that_does_not_exist_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kubeinfra("bundle", "inventory.py", "--arch", "riscv64") == 1
    assert capsys.readouterr().err == "architecture 'riscv64' is not supported: machines must be amd64 or arm64\n"


def test_bundle_in_says_nothing_of_other_directories(own: Path) -> None:
    assert bundle_in(own) is None
    put(own / INDEX, b"{")
    assert problem(lambda: bundle_in(own)).startswith(f"{own / INDEX}: its index cannot be read")
