"""The lab's builds for both architectures: where kubeinfra looks, by the right compilers, of the right kind."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from artifact_files import problem, put
from cluster_samples import ONE, cluster
from rich.console import Console

import lab.build
from kubeinfra.artifacts.images import image_id, image_path
from kubeinfra.components.artifacts_needed import all_needed, node_images
from kubeinfra.releases.catalogue import ARCHES, NEWEST, artifact, release
from lab.build import go, images, stack
from lab.build.architecture import ARCHITECTURES
from lab.build.base import Build
from lab.build.workspace import Workspace

GCC = {"amd64": "gcc", "arm64": "aarch64-linux-gnu-gcc"}
# e_machine of the ELF format; source: the ABI supplements of both.
ELF = {"amd64": 62, "arm64": 183}
SHOWS = '#!/bin/sh\necho "$0" "$@" GOARCH=$GOARCH CC=$CC PKG_CONFIG_LIBDIR=$PKG_CONFIG_LIBDIR >&2\n'


def program(path: Path, arch: str) -> Path:
    """The head of a program for this architecture; it cannot be run."""
    return put(path, b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + ELF[arch].to_bytes(2, "little"))


def workspace(directory: Path, arch: str) -> Workspace:
    directory.mkdir(exist_ok=True)
    return Workspace(directory, directory / "log", arch)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in front of PATH, for commands that only look like those of that name."""
    directory = tmp_path / "commands"
    answers = {"GOVERSION": "go1.26.8", "GOFLAGS": ""}
    cases = "".join(f'[ "$1 $2" = "env {name}" ] && echo "{answer}" && exit\n' for name, answer in answers.items())
    command(directory / "go", SHOWS.replace("\n", f"\n{cases}", 1))
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return directory


def command(path: Path, script: str) -> None:
    put(path, script.encode()).chmod(0o755)


def test_the_lab_builds_for_all_architectures_of_machines() -> None:
    assert tuple(ARCHITECTURES) == ARCHES
    assert {name: one.elf for name, one in ARCHITECTURES.items()} == ELF


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("version", NEWEST.values())
def test_a_machine_finds_what_was_built_for_its_architecture(version: str, arch: str) -> None:
    of = release(version)
    built = stack.builds(of, arch)
    wanted = cluster(ONE, kubernetes_version=version, etcd_version=stack.etcd_version(of))
    needed = {one.path for one in all_needed(wanted, [arch])} | {image_path(one, arch) for one in node_images(wanted)}
    optional = {artifact("crictl", of.crictl, arch).path}
    assert needed - optional <= built.keys()
    assert {one.arch for one in built.values()} == {arch}


@pytest.mark.parametrize("version", NEWEST.values())
def test_what_is_built_for_both_lies_side_by_side(version: str) -> None:
    one, other = (stack.builds(release(version), arch) for arch in ARCHES)
    assert len(one) == len(other)
    assert not one.keys() & other.keys()


@pytest.mark.parametrize("arch", ARCHES)
def test_go_compiles_for_the_architecture(arch: str, commands: Path, tmp_path: Path) -> None:
    work = workspace(tmp_path / "work", arch)
    module = go.Module(work.scratch, work)
    module.build("./cmd/tool")
    module.build("./cmd/tool", cgo=True, libraries=tmp_path / "root")
    plain, linked = re.findall(r"go build .*", work.log.read_text().replace(str(commands), ""))[1::2]
    assert f"GOARCH={arch} CC= " in plain
    assert f"GOARCH={arch} CC={GCC[arch]} PKG_CONFIG_LIBDIR={tmp_path}/root/usr/lib/" in linked


@pytest.mark.parametrize("arch", ARCHES)
def test_gcc_compiles_for_the_architecture(arch: str, commands: Path, tmp_path: Path) -> None:
    command(commands / GCC[arch], SHOWS)
    work = workspace(tmp_path / "work", arch)
    work.run("gcc", "pause.c")
    assert f"{commands / GCC[arch]} pause.c" in work.log.read_text()


def test_a_program_for_another_architecture_is_no_proof(tmp_path: Path) -> None:
    """This machine could run it, and it would tell the version that is wanted."""
    built = program(tmp_path / "tool", "amd64")
    message = problem(lambda: workspace(tmp_path / "work", "arm64").expect("v1", built, "--version"))
    assert message.startswith(f"{built} was built for amd64, wanted arm64")


def test_a_program_for_another_architecture_is_run_by_the_emulator(commands: Path, tmp_path: Path) -> None:
    command(commands / "qemu-aarch64-static", '#!/bin/sh\necho "emulates $*"\n')
    work, built = workspace(tmp_path / "work", "arm64"), program(tmp_path / "tool", "arm64")
    work.expect("emulates", built, "--version")
    assert re.fullmatch(rf"emulates -L \S+ {built} --list\n", work.run(built, "--list"))
    assert work.run("echo", built) == f"{built}\n"


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("entrypoint", ["/bin/busybox", "/bin/sh"])
def test_an_image_is_for_the_architecture_of_its_program(arch: str, entrypoint: str, tmp_path: Path) -> None:
    program(tmp_path / "root/bin/busybox", arch)
    (tmp_path / "root/bin/sh").symlink_to("busybox")
    images.save(tmp_path / "image.tar", "registry.example/a:1", tmp_path / "root", entrypoint=[entrypoint])
    assert image_id(tmp_path / "image.tar", "registry.example/a:1", arch)


@pytest.mark.parametrize("arch", ARCHES)
def test_a_recipe_is_told_the_architecture_and_has_its_tools(arch: str, commands: Path, tmp_path: Path) -> None:
    command(commands / "apt-get", "#!/bin/sh\nexit 1\n")
    command(commands / "dpkg-query", f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nprintf installed\n')

    def recipe(product: Path, work: Workspace) -> None:
        product.write_text(work.arch)

    one = Build("tool/1/tool", recipe, 1, ("of-the-recipe",), arch)
    with (tmp_path / "said").open("w") as said:
        lab.build.build([one], tmp_path / "into", tmp_path / "work", Console(file=said))
    assert (tmp_path / "into/tool/1/tool").read_text() == arch
    asked = [line.split()[-1] for line in (tmp_path / "asked").read_text().splitlines()]
    assert asked == ["of-the-recipe", *(["qemu-user-static", "libc6-arm64-cross"] if arch == "arm64" else [])]
