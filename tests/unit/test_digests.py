"""Digests: in checksum files and in the index of the cache."""

from pathlib import Path

import pytest
from artifact_files import digest, problem, put
from hypothesis import given
from hypothesis import strategies as st

from kubeinfra.artifacts.digests import Index, is_digest, published_digest
from kubeinfra.artifacts.store import Store
from kubeinfra.atomic import whole_file


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@given(
    names=st.lists(st.from_regex(r"[a-z][a-z0-9.-]{0,9}", fullmatch=True), unique=True, min_size=1),
    algorithm=st.sampled_from(["sha256", "sha512"]),
    form=st.sampled_from(["{} {}", "{}  {}", "{} *{}", "{}  ./{}"]),
)
def test_each_file_of_a_checksum_file_is_found_and_no_other(names: list[str], algorithm: str, form: str) -> None:
    text = "\n".join(form.format(digest(name.encode(), algorithm)[7:], name) for name in names) + "\n"
    for name in names:
        assert published_digest(text, name) == digest(name.encode(), algorithm)
    assert published_digest(text, "Another") is None


def test_a_bare_digest_is_that_of_its_file() -> None:
    assert published_digest(digest(b"x", "sha512")[7:] + "\n", "any") == digest(b"x", "sha512")
    assert published_digest("<html>not found</html>\n", "any") is None


@pytest.mark.parametrize("text", ["", "sha256:", "sha256:" + "g" * 64, "md5:" + "0" * 32, "sha256:" + "A" * 64])
def test_what_is_no_digest(text: str) -> None:
    assert is_digest(text) is False


def test_a_damaged_index_is_an_error_with_the_way_out(cache: Path) -> None:
    path = put(cache / "index.json", b'{"pins":')
    assert problem(lambda: Store(cache)).startswith(f"{path}: is damaged")


def test_an_index_keeps_what_another_process_saved(tmp_path: Path) -> None:
    file = put(tmp_path / "file", b"x")
    mine, other = Index(tmp_path / "index.json"), Index(tmp_path / "index.json")
    other.pins["a"] = "sha256:1"
    other.save()
    mine.digest(file, "sha256")
    mine.reload()
    mine.save()
    last = Index(tmp_path / "index.json")
    assert (last.pins, list(last.files)) == ({"a": "sha256:1"}, [str(file)])


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    put(tmp_path / "file", b"")

    def write() -> None:
        with whole_file(tmp_path / "file" / "below") as file:
            file.write(b"x")

    assert "cannot be written (file exists); put that right" in problem(write)
