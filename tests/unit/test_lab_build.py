"""The lab's builder around its recipes: made once, whole, always the same, and clear when it fails."""

import json
import os
import re
import tarfile
import threading
import time
from pathlib import Path

import pytest
from artifact_files import digest, problem, put
from rich.console import Console

import lab.build.base
from kubeinfra.artifacts.images import image_id, image_path
from kubeinfra.errors import KubeinfraError
from kubeinfra.releases.catalogue import NEWEST, artifact, release
from lab.build import archive, go, images, kubernetes, stack
from lab.build.__main__ import named
from lab.build.base import Build
from lab.build.workspace import Workspace

PATH = "tool/1.0/tool.tar"


class Recipe:
    """Writes its content, or fails as often as it is told to; counts how often it was asked."""

    def __init__(self) -> None:
        self.content, self.failures, self.runs = b"made", 0, 0

    @property
    def build(self) -> Build:
        return Build(PATH, self.make, 1)

    def make(self, product: Path, work: Workspace) -> None:
        self.runs += 1
        work.run("echo", "of an earlier command")
        product.write_bytes(self.content)
        if self.failures:
            self.failures -= 1
            work.run("sh", "-c", "echo no such module >&2; exit 3", hint="look at the proxy")


@pytest.fixture
def recipe() -> Recipe:
    return Recipe()


def build(tmp_path: Path, *builds: Build) -> dict[str, str]:
    with (tmp_path / "said").open("a") as said:
        return lab.build.build(builds, tmp_path / "into", tmp_path / "work", Console(file=said))


def test_an_artifact_is_built_once(recipe: Recipe, tmp_path: Path) -> None:
    assert build(tmp_path, recipe.build) == build(tmp_path, recipe.build) == {PATH: digest(b"made")}
    assert recipe.runs == 1
    assert (tmp_path / "into" / PATH).read_bytes() == b"made"


def test_without_a_terminal_there_is_a_line_before_and_one_after(recipe: Recipe, tmp_path: Path) -> None:
    build(tmp_path, recipe.build)
    before, after = (tmp_path / "said").read_text().splitlines()
    assert before == f"building {PATH} (1/1, about 1 min)"
    assert re.fullmatch(rf"built {PATH} in \d+ s", after)


def test_a_changed_recipe_builds_again(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path, recipe.build)
    monkeypatch.setattr(lab.build.base, "EDITION", lab.build.base.EDITION + 1)
    recipe.content = b"made again"
    assert build(tmp_path, recipe.build) == {PATH: digest(b"made again")}


@pytest.mark.parametrize("content", [b"mad", b"made by hand"])
def test_an_artifact_that_was_touched_is_built_again(recipe: Recipe, tmp_path: Path, content: bytes) -> None:
    build(tmp_path, recipe.build)
    put(tmp_path / "into" / PATH, content)
    assert build(tmp_path, recipe.build) == {PATH: digest(b"made")}
    assert (tmp_path / "into" / PATH).read_bytes() == b"made"


def test_a_failed_build_leaves_nothing_and_the_next_one_succeeds(recipe: Recipe, tmp_path: Path) -> None:
    recipe.failures = 1
    message = problem(lambda: build(tmp_path, recipe.build))
    assert message.startswith("`sh -c ") and "ended with status 3" in message
    assert "its last lines:\n    no such module\n" in message
    assert str(tmp_path / "work/tool_1.0_tool.tar.log") in message
    assert message.endswith("look at the proxy")
    assert not list((tmp_path / "into").rglob("*"))
    assert build(tmp_path, recipe.build) == {PATH: digest(b"made")}


def test_a_failed_build_lets_the_one_that_runs_finish_and_begins_no_other(recipe: Recipe, tmp_path: Path) -> None:
    other, later = Recipe(), Recipe()
    recipe.failures = 1
    begun = threading.Event()

    def slow(product: Path, work: Workspace) -> None:
        begun.set()
        until_failed(tmp_path)
        other.make(product, work)

    def fails(product: Path, work: Workspace) -> None:
        assert begun.wait(10)
        recipe.make(product, work)

    recipes = {"a/1/slow.tar": slow, "a/1/fails.tar": fails, "a/1/later.tar": later.make}
    message = problem(lambda: build(tmp_path, *(Build(path, make, 1) for path, make in recipes.items())))
    assert "ended with status 3" in message
    assert (tmp_path / "into/a/1/slow.tar").exists(), "what was built at the same time is kept"
    assert later.runs == 0


def until_failed(tmp_path: Path) -> None:
    deadline = time.monotonic() + 10
    while "has failed" not in (tmp_path / "said").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_versions_of_one_file_are_built_side_by_side(recipe: Recipe, tmp_path: Path) -> None:
    other = Recipe()
    builds = [Build(f"tool/{number}/tool.tar", one.make, 1) for number, one in enumerate((recipe, other), 1)]
    assert list(build(tmp_path, *builds)) == ["tool/1/tool.tar", "tool/2/tool.tar"]
    assert (recipe.runs, other.runs) == (1, 1)


def test_what_cannot_be_built_is_named_with_what_can(recipe: Recipe) -> None:
    builds = {PATH: recipe.build}
    assert named(builds, []) == named(builds, [PATH]) == [recipe.build]
    message = problem(lambda: named(builds, ["tool/2.0/tool.tar"]))
    assert "cannot build tool/2.0/tool.tar" in message
    assert PATH in message


class TestStack:
    @pytest.mark.parametrize("version", NEWEST.values())
    def test_all_that_a_release_needs_can_be_built(self, version: str) -> None:
        of = release(version)
        versions = {
            "kubernetes": of.kubernetes,
            "etcd": stack.etcd_version(of),
            "cni-plugins": of.cni_plugins,
            "containerd": of.containerd,
            "runc": of.runc,
        }
        references = (
            of.pause_image,
            of.flannel_image,
            of.flannel_cni_plugin_image,
            of.coredns_image,
            of.metrics_server_image,
            of.verify_image,
        )
        wanted = {artifact(name, number, "amd64").path for name, number in versions.items()}
        wanted |= {image_path(reference, "amd64") for reference in references}
        crictl = {path for path in stack.builds(of) if path.startswith("crictl/")}
        assert stack.builds(of).keys() - crictl == wanted
        assert crictl <= {artifact("crictl", of.crictl, "amd64").path}

    def test_another_pin_of_one_minor_leaves_the_artifacts_of_others_alone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        oldest, newest = tarball("1.20"), tarball("1.37")
        monkeypatch.setitem(stack.PINS, (1, 37), {"example.com/other": "v1.0.0"})
        assert tarball("1.20").key == oldest.key
        assert tarball("1.37").key != newest.key

    def test_parts_of_kubernetes_itself_are_of_the_minor_that_they_are_taken_for(self) -> None:
        for (_, minor), pins in stack.PINS.items():
            own = {path: version for path, version in pins.items() if path.startswith("k8s.io/")}
            assert all(version.startswith(f"v0.{minor}.") for version in own.values()), own

    def test_a_path_is_made_in_one_way_whichever_release_it_is_for(self) -> None:
        """Or it would be built anew with each change from one release to another."""
        made: dict[str, set[str]] = {}
        for version in NEWEST.values():
            for path, one in stack.builds(release(version)).items():
                made.setdefault(path, set()).add(one.key)
        assert {path for path, keys in made.items() if len(keys) > 1} == set()


def tarball(minor: str) -> Build:
    return next(iter(stack.builds(release(NEWEST[minor])).values()))


def test_an_image_is_what_docker_loads(tmp_path: Path) -> None:
    program = b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + b"\x3e\0"  # the head of one for amd64
    put(tmp_path / "root/bin/program", program).chmod(0o700)
    (tmp_path / "root/bin/link").symlink_to("program")
    product = tmp_path / "image.tar"
    images.save(product, "registry.example/a/b:1", tmp_path / "root", entrypoint=["/bin/program"])

    found = image_id(product, "registry.example/a/b:1", "amd64")
    with tarfile.open(product) as tar:
        manifest = json.loads(_member(tar, "manifest.json"))[0]
        config = json.loads(_member(tar, manifest["Config"]))
        layer = _member(tar, manifest["Layers"][0])
    assert manifest["Config"] == f"{found.removeprefix('sha256:')}.json"
    assert config["rootfs"]["diff_ids"] == [digest(layer)]
    assert config["config"]["Entrypoint"] == ["/bin/program"]
    with tarfile.open(put(tmp_path / "layer.tar", layer)) as tar:
        modes = {member.name: (member.mode, member.uid, member.mtime) for member in tar if not member.issym()}
        assert modes == {"bin": (0o755, 0, 0), "bin/program": (0o755, 0, 0)}
        assert tar.getmember("bin/link").linkname == "program"


def test_an_archive_depends_on_nothing_but_names_and_content(tmp_path: Path) -> None:
    def packed(name: str, mode: int, mtime: int) -> bytes:
        program = put(tmp_path / name, b"program")
        program.chmod(mode)
        os.utime(program, (mtime, mtime))
        archive.pack_programs(tmp_path / f"{name}.tgz", {"./program": program})
        return (tmp_path / f"{name}.tgz").read_bytes()

    assert packed("one", 0o755, 1) == packed("two", 0o700, 2)


def test_openapi_is_wanted_by_a_tag_outside_tests(tmp_path: Path) -> None:
    put(tmp_path / "one/doc.go", b"// +k8s:openapi-gen=true\npackage one\n")
    put(tmp_path / "two/two_test.go", b"// +k8s:openapi-gen=true\npackage two\n")
    assert kubernetes._wants_openapi(tmp_path / "one")
    assert not kubernetes._wants_openapi(tmp_path / "two")


@pytest.mark.parametrize(
    ("version", "wanted"), [("go1.26.8\n", (1, 26)), ("go1.9", (1, 9)), ("devel go1.27-abc", (0, 0))]
)
def test_the_release_of_go(version: str, wanted: tuple[int, int]) -> None:
    assert go.release(version) == wanted


def test_a_go_that_is_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = put(tmp_path / "go", b"#!/bin/sh\necho go1.19.8\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(go, "PLACES", (str(tmp_path / "nothing"),))
    with pytest.raises(KubeinfraError, match=rf"Go 1\.26 or newer, and found an older {old}"):
        go.tool()


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None, f"{name} should be a file"
    return file.read()
