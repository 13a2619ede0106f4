"""Archives that are not what they should be."""

import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from artifact_files import problem, put, tarball
from hypothesis import given
from hypothesis import strategies as st

from kubeinfra.artifacts import archives
from kubeinfra.errors import KubeinfraError


def unpack(tmp_path: Path, archive: bytes, members: Mapping[str, str]) -> list[archives.Member] | None:
    archives.unpack(put(tmp_path / "archive", archive), members, tmp_path / "out")
    return archives.unpacked(tmp_path / "out")


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    message = problem(lambda: unpack(tmp_path, tarball({"b/etcd": b"x"}), {"etcd": "b/etcd", "etcdctl": "b/etcdctl"}))
    assert "archive: holds no b/etcdctl" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"<html>", tarball({"./etcd": os.urandom(9000)})[:4000]])
def test_what_is_no_archive_is_an_error(tmp_path: Path, content: bytes) -> None:
    assert "archive: " in problem(lambda: unpack(tmp_path, content, {"etcd": "etcd"}))
    assert not (tmp_path / "out").exists()


def test_a_link_under_a_members_name_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        link = tarfile.TarInfo("etcd")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
        tar.addfile(link)
    assert "must be a regular file" in problem(lambda: unpack(tmp_path, buffer.getvalue(), {"etcd": "etcd"}))


@given(
    folders=st.lists(st.sampled_from(["..", ".", "a", ""]), min_size=1, max_size=4),
    name=st.sampled_from(["x", "..", "index.json"]),
)
def test_no_member_leaves_the_directory(
    tmp_path_factory: pytest.TempPathFactory, folders: list[str], name: str
) -> None:
    root = tmp_path_factory.mktemp("root") / "a" / "b" / "c" / "d"
    path = "/".join([*folders, name])
    try:
        found = unpack(root, tarball({path: b"x"}), {})
    except KubeinfraError:
        found = []
    written = {file for file in root.parents[3].rglob("*") if file.is_file()} - {root / "archive"}
    assert all((root / "out") in file.parents for file in written)
    assert {member.name for member in found or []} <= {"x"}


def test_files_that_are_not_executable_are_no_binaries(tmp_path: Path) -> None:
    archive = tarball({"./LICENSE": b"x"}, mode=0o644)
    assert "archive: holds no executable file" in problem(lambda: unpack(tmp_path, archive, {}))
