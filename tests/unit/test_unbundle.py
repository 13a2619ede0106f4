"""The way back from a bundle: what is in it arrives whole, or nothing does and one line says why."""

from __future__ import annotations

import ast
import platform
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from artifact_files import problem, put, tarball
from bundle_files import FILES, members, packed, rewritten, tree, with_index
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeinfra.artifacts.bundle_index import INDEX, INDEX_DIGEST, bundle_in, this_libc, this_python
from kubeinfra.artifacts.unbundle import unbundle
from kubeinfra.atomic import part_of
from kubeinfra.errors import KubeinfraError

ROOT = Path(__file__).resolve().parents[2]
PAGE = b"\n<!DOCTYPE html>\n<html><title>Sign in</title></html>" + b" " * 600


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return packed(tmp_path / "b.tar")


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "into"


def refused(bundle: Path, into: Path) -> str:
    """The one line that it says, with the bundle's name before; and it leaves nothing behind."""
    message = problem(lambda: unbundle(bundle, into))
    assert "\n" not in message
    assert message.startswith(f"{bundle}: ")
    assert (into.exists(), part_of(into).exists()) == (False, False)
    return message


def test_what_was_packed_is_unpacked(bundle: Path, into: Path) -> None:
    index = unbundle(bundle, into)
    found = tree(into)
    assert found.pop(INDEX)
    assert found == FILES
    assert str(index) == "Kubernetes 1.99.9 for amd64 and arm64"
    assert bundle_in(into) == index


def test_the_same_files_make_the_same_bundle(bundle: Path, tmp_path: Path) -> None:
    assert packed(tmp_path / "again.tar").read_bytes() == bundle.read_bytes()


def test_the_index_comes_first_and_its_digest_after_it(bundle: Path) -> None:
    assert [member.name for member, _ in members(bundle)] == [INDEX, INDEX_DIGEST, *sorted(FILES)]


# What a bundle may look like when it arrives


@settings(max_examples=40)
@given(data=st.data())
def test_with_any_byte_changed_it_is_refused_or_the_byte_did_not_matter(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Padding between members, and what tar says of owners, do not matter."""
    directory = tmp_path_factory.mktemp("changed")
    content = bytearray(packed(directory / "b.tar").read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    changed, into = put(directory / "changed.tar", bytes(content)), directory / "other"
    try:
        unbundle(changed, into)
    except KubeinfraError as error:
        assert str(error).startswith(f"{changed}: ") and "\n" not in str(error)
        assert (into.exists(), part_of(into).exists()) == (False, False)
    else:
        assert {path: text for path, text in tree(into).items() if path != INDEX} == FILES


@pytest.mark.parametrize("name", [INDEX, INDEX_DIGEST, *FILES])
def test_a_changed_byte_in_a_file_is_named(name: str, bundle: Path, into: Path) -> None:
    with tarfile.open(bundle) as tar:
        place = tar.getmember(name).offset_data + 3
    content = bytearray(bundle.read_bytes())
    content[place] ^= 1
    bundle.write_bytes(content)
    message = refused(bundle, into)
    assert (INDEX if name == INDEX_DIGEST else name) in message
    assert "has sha256:" in message and "wanted " in message and "copy it again" in message


@settings(max_examples=20)
@given(kept=st.floats(0.001, 0.999))
def test_cut_off_anywhere_before_its_end_it_is_refused(kept: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("cut")
    bundle = packed(directory / "b.tar")
    with tarfile.open(bundle) as tar:
        last = tar.getmembers()[-1]
    end = last.offset_data + last.size
    bundle.write_bytes(bundle.read_bytes()[: int(end * kept)])
    refused(bundle, directory / "into")


def test_cut_off_between_two_files_the_first_that_lacks_is_named(bundle: Path, into: Path) -> None:
    with tarfile.open(bundle) as tar:
        place = tar.getmember("etcd/9.9.9/etcd.tar.gz").offset
    bundle.write_bytes(bundle.read_bytes()[:place])
    assert "lacks 2 of its 3 files, etcd/9.9.9/etcd.tar.gz is the first; it was not copied whole" in refused(
        bundle, into
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (PAGE, "is an HTML page, not the file"),
        (b"", "is no tar file (empty header)"),
        (b"\x7fELF" * 999, "is no tar file (invalid header)"),
        (b"short", "is no tar file (truncated header)"),
        (tarball({"etcd": b"x"}), "is no tar file"),
        (tarball({"etcd": b"x"}, compression=""), "is a tar file, but no bundle: it begins with 'etcd'"),
    ],
    ids=["page", "empty", "program", "short", "compressed tar", "other tar"],
)
def test_a_file_that_is_no_bundle(content: bytes, says: str, bundle: Path, into: Path) -> None:
    bundle.write_bytes(content)
    assert says in refused(bundle, into)
    assert "name the file that `make bundle` has made, or copy it again" in refused(bundle, into)


def test_a_file_that_is_not_there(tmp_path: Path, into: Path) -> None:
    assert "b.tar: cannot be read (no such file or directory)" in refused(tmp_path / "b.tar", into)


def test_a_bundle_of_another_format(bundle: Path, into: Path) -> None:
    message = refused(with_index(bundle, format=2), into)
    assert "is a bundle of format 2, this checkout reads format 1; use the checkout that made it" in message


@pytest.mark.parametrize("changed", [{"files": ["x"]}, {"arches": 1}, {"files": {"a/b": {}}}], ids=str)
def test_an_index_of_another_form(changed: dict[str, object], bundle: Path, into: Path) -> None:
    assert "its index cannot be read" in refused(with_index(bundle, **changed), into)


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", "a//b", "./a", INDEX, "a\0b"])
def test_a_path_that_leads_elsewhere(path: str, bundle: Path, into: Path) -> None:
    files = {path: {"sha256": "0" * 64, "size": 1}}
    assert f"its index lists {path!r}" in refused(with_index(bundle, files=files), into)


def test_more_than_the_index_lists(bundle: Path, into: Path) -> None:
    stranger = tarfile.TarInfo("../../stranger")
    assert "holds '../../stranger'" in refused(rewritten(bundle, [*members(bundle), (stranger, b"x")]), into)


def test_a_file_that_comes_twice(bundle: Path, into: Path) -> None:
    entries = members(bundle)
    assert f"holds {entries[-1][0].name!r}" in refused(rewritten(bundle, [*entries, entries[-1]]), into)


def test_a_link_in_place_of_a_file(bundle: Path, into: Path) -> None:
    *entries, (last, _) = members(bundle)
    last.type, last.linkname = tarfile.SYMTYPE, "/etc/passwd"
    assert f"holds {last.name!r}" in refused(rewritten(bundle, [*entries, (last, b"")]), into)


# For another Python or C library


def test_packages_for_another_python_are_refused_before_anything_is_written(tmp_path: Path, into: Path) -> None:
    message = refused(packed(tmp_path / "b.tar", python="3.99 plan9-mips"), into)
    assert f"has packages for Python 3.99 plan9-mips, this is Python {this_python()}" in message
    assert "make unbundle PYTHON=python3.99" in message


def test_packages_for_this_python_are_unpacked(tmp_path: Path, into: Path) -> None:
    index = unbundle(packed(tmp_path / "b.tar", python=this_python(), libc=this_libc()), into)
    assert (index.python, index.libc) == (this_python(), this_libc())


def libc(monkeypatch: pytest.MonkeyPatch, name: str = "", version: str = "") -> str:
    """What this machine then has; where it is musl, Python names none, or just "libc"."""
    monkeypatch.setattr(platform, "libc_ver", lambda: (name, version))
    return this_libc()


@pytest.mark.parametrize(
    ("theirs", "ours", "says"),
    [
        (
            ("glibc", "2.36"),
            ("glibc", "2.28"),
            "a machine with glibc 2.36, this one has glibc 2.28; make the bundle on",
        ),
        (("glibc", "2.36"), ("glibc", "2.9"), "a machine with glibc 2.36, this one has glibc 2.9; "),
        (("glibc", "2.36"), (), "a machine with glibc 2.36, this one has no glibc; "),
        ((), ("glibc", "2.36"), "a machine with no glibc, this one has glibc 2.36; "),
    ],
    ids=str,
)
def test_packages_for_another_or_a_newer_libc_are_refused_before_anything_is_written(
    theirs: tuple[str, ...],
    ours: tuple[str, ...],
    says: str,
    tmp_path: Path,
    into: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """pip has taken the newest that fit where the bundle was made, and finds none here, without a network."""
    bundle = packed(tmp_path / "b.tar", python=this_python(), libc=libc(monkeypatch, *theirs))
    libc(monkeypatch, *ours)
    message = refused(bundle, into)
    assert f"has packages for {says}" in message
    assert message.endswith("make the bundle on a machine like this one, with the same libc or an older version of it")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (("glibc", "2.28"), ("glibc", "2.36")),
        (("glibc", "2.9"), ("glibc", "2.28")),
        (("glibc", "2.28"), ("glibc", "2.28.9000")),
        ((), ()),
        ((), ("libc", "")),
    ],
    ids=str,
)
def test_packages_for_this_libc_or_an_older_one_are_unpacked(
    theirs: tuple[str, ...], ours: tuple[str, ...], tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected_with = libc(monkeypatch, *theirs)
    bundle = packed(tmp_path / "b.tar", python=this_python(), libc=collected_with)
    libc(monkeypatch, *ours)
    assert unbundle(bundle, into).libc == collected_with


def test_a_bundle_that_does_not_say_its_libc_is_unpacked(tmp_path: Path, into: Path) -> None:
    """Those of older checkouts."""
    bundle = with_index(packed(tmp_path / "b.tar", python=this_python(), libc=this_libc()), "libc")
    assert unbundle(bundle, into).libc is None


# What is in the directory already


def test_an_older_bundle_is_replaced_by_the_newer_one(bundle: Path, into: Path, tmp_path: Path) -> None:
    unbundle(packed(tmp_path / "older.tar", {"etcd/1.1.1/older": b"x"}), into)
    unbundle(bundle, into)
    unbundle(bundle, into)
    assert set(tree(into)) == {*FILES, INDEX}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "into", "older.tar"]


def test_an_older_bundle_stays_if_the_newer_one_is_damaged(bundle: Path, into: Path, tmp_path: Path) -> None:
    unbundle(bundle, into)
    before = tree(into)
    damaged = put(tmp_path / "damaged.tar", bundle.read_bytes()[:-4000])
    assert problem(lambda: unbundle(damaged, into)).startswith(f"{damaged}: ")
    assert tree(into) == before
    assert not part_of(into).exists()


@pytest.mark.parametrize("after_a_bundle", [False, True])
def test_what_no_bundle_brought_is_not_removed(after_a_bundle: bool, bundle: Path, into: Path) -> None:
    if after_a_bundle:
        unbundle(bundle, into)
    put(into / "etcd/mine.tar.gz", b"mine")
    before = tree(into)
    message = problem(lambda: unbundle(bundle, into))
    assert message.startswith(f"{into}: holds etcd/mine.tar.gz, which no bundle brought; ")
    assert "make unbundle INTO=" in message
    assert tree(into) == before


def test_an_empty_directory_is_filled(bundle: Path, into: Path) -> None:
    into.mkdir()
    unbundle(bundle, into)
    assert tree(into).keys() == {*FILES, INDEX}


def test_what_a_killed_process_left_does_not_matter(bundle: Path, into: Path) -> None:
    put(part_of(into) / "etcd/half", b"x")
    put(into.with_name(f".{into.name}.old") / "etcd/old", b"x")
    unbundle(bundle, into)
    assert sorted(path.name for path in into.parent.iterdir()) == ["b.tar", "into"]


# The command, before anything is installed


def bare_python(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Python as the machine has it: no packages (-S), no environment (-E, -s)."""
    command = [sys.executable, "-S", "-E", "-s", "-m", "kubeinfra.artifacts.unbundle", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_needs_the_standard_library_only(bundle: Path, into: Path) -> None:
    no_packages = [sys.executable, "-S", "-E", "-s", "-c", "import rich"]
    assert subprocess.run(no_packages, cwd=ROOT, capture_output=True, check=False).returncode == 1, "it has packages"
    ran = bare_python(bundle, into)
    assert (ran.returncode, ran.stderr) == (0, "")
    first, second = ran.stdout.splitlines()
    assert first.startswith(
        f"{into}: Kubernetes 1.99.9 for amd64 and arm64, packed 2026-11-26T13:50:00+00:00, 0 MB: images 1, "
    )
    assert second == f'Write into group_data/all.py:  artifacts_dir = "{into}"'
    assert set(tree(into)) == {*FILES, INDEX}


def test_what_the_command_imports_can_be_read_by_the_pythons_of_older_distributions() -> None:
    """So that they say which Python is wanted: Python 3.9 is that of RHEL 9."""
    for name in ("artifacts/unbundle", "artifacts/bundle_index", "artifacts/answers", "atomic", "errors"):
        ast.parse((ROOT / f"kubeinfra/{name}.py").read_text(), feature_version=(3, 9))


def test_the_command_says_what_is_wrong_in_one_line(bundle: Path, into: Path) -> None:
    bundle.write_bytes(PAGE)
    ran = bare_python(bundle, into)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.splitlines() == [ran.stderr.strip()]
    assert ran.stderr.startswith(f"{bundle}: is an HTML page")
    assert not into.exists()
