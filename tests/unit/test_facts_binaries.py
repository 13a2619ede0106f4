"""Binaries and images on a machine, read by the facts' own shell."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

from local_machine import answer, program

from kubeinfra.components.runtime.docker import Docker
from kubeinfra.facts.binaries import BinaryStates
from kubeinfra.facts.images import ImageIds
from kubeinfra.machine.state import BinaryState


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def test_a_wanted_binary_is_not_run_and_another_says_its_version(tmp_path: Path) -> None:
    program(tmp_path, "wanted", f"touch {tmp_path}/was-run")
    program(tmp_path, "older", 'echo "etcd Version: 3.4.1"; echo "Git SHA: 123"')
    program(tmp_path, "silent", "exit 1")
    (tmp_path / "broken").write_bytes(bytes(range(256)))
    paths = {name: str(tmp_path / name) for name in ("wanted", "older", "silent", "broken", "missing")}
    wanted = {path: digest(tmp_path / "wanted") for path in paths.values()}
    wanted[paths["silent"]] = ""
    found = answer(BinaryStates(), wanted=wanted)
    assert found == {
        paths["wanted"]: BinaryState(digest(tmp_path / "wanted"), ""),
        paths["older"]: BinaryState(digest(tmp_path / "older"), "etcd Version: 3.4.1"),
        paths["silent"]: BinaryState(digest(tmp_path / "silent"), ""),
        paths["broken"]: BinaryState(digest(tmp_path / "broken"), ""),
    }
    assert not (tmp_path / "was-run").exists()


def test_a_binary_that_reads_its_input_does_not_eat_the_other_questions(tmp_path: Path) -> None:
    program(tmp_path, "greedy", "cat; echo v1")
    shutil.copy(tmp_path / "greedy", tmp_path / "second")
    found = answer(BinaryStates(), wanted={str(tmp_path / "greedy"): "", str(tmp_path / "second"): ""})
    assert [state.version for state in found.values()] == ["v1", "v1"]


PAUSE, OTHER = "registry.k8s.io/pause:3.2", "example.com/other:1"


def test_images_are_known_by_their_ids(tmp_path: Path) -> None:
    says = f'[ "$5" = {PAUSE} ] || exit 1; echo "$4" | sed "s/{{{{.Id}}}}/sha256:abc/"'
    programs = program(tmp_path / "programs", "docker", says)
    assert answer(ImageIds(), programs=programs, asked=Docker().image_ids([PAUSE, OTHER])) == {PAUSE: "sha256:abc"}


def test_without_docker_there_are_no_images(tmp_path: Path) -> None:
    programs = program(tmp_path / "programs", "docker", "exit 127")
    assert answer(ImageIds(), programs=programs, asked=Docker().image_ids([PAUSE])) == {}
