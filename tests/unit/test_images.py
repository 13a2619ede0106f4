"""Images as tar files: which are taken, and which are refused."""

import gzip
from pathlib import Path

import pytest
from artifact_files import digest, problem, put, saved, tarball

from kubeinfra.artifacts.images import image_path
from kubeinfra.artifacts.store import Store

PAUSE = "registry.k8s.io/pause:9.9"


@pytest.mark.parametrize("folder", ["", "blobs/sha256/"], ids=["up to Docker 24", "from Docker 25"])
def test_an_image_is_known_by_dockers_id(folder: str, cache: Path, own: Path) -> None:
    content, identity = saved([PAUSE], folder=folder)
    path = put(own / "images/registry.k8s.io_pause_9.9-amd64.tar", content)
    found = Store(cache, own).image(PAUSE, "amd64")
    assert found is not None
    assert (found.image_id, found.path, found.sha256) == (identity, path, digest(content)[7:])
    assert found.label == PAUSE
    assert not cache.exists()
    assert Store(cache, own).image(PAUSE, "arm64") is None


def test_an_image_has_one_gzip_copy(cache: Path) -> None:
    put(cache / image_path(PAUSE, "amd64"), saved([PAUSE])[0])
    store = Store(cache)
    image = store.image(PAUSE, "amd64")
    assert image is not None
    copy = store.gzip_copy(image)
    assert gzip.decompress(copy.read_bytes()) == image.path.read_bytes()
    before = copy.stat()
    assert (Store(cache).gzip_copy(image), copy.stat().st_mtime_ns) == (copy, before.st_mtime_ns)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (saved(["quay.io/other:1"])[0], f"holds quay.io/other:1, wanted {PAUSE}"),
        (saved([])[0], "holds an image without a tag"),
        (saved([PAUSE], "arm64")[0], f"holds {PAUSE} for arm64, wanted amd64"),
        (tarball({"layer.tar": b"x"}, compression=""), "is not a tar file of `docker save`"),
        (b"not a tar", "is not a tar file of `docker save`"),
        (tarball({"manifest.json": b"{"}, compression=""), "is not a tar file of `docker save`"),
    ],
    ids=["another tag", "no tag", "another architecture", "no manifest", "no tar", "broken manifest"],
)
def test_a_tar_that_is_not_the_image_is_an_error(content: bytes, says: str, cache: Path, own: Path) -> None:
    path = put(own / image_path(PAUSE, "amd64"), content)
    message = problem(lambda: Store(cache, own).image(PAUSE, "amd64"))
    assert message.startswith(f"{path}: {says}")
    assert f"docker save {PAUSE}" in message or "docker pull" in message


def test_an_own_image_must_have_its_digest(cache: Path, own: Path) -> None:
    content, _ = saved([PAUSE])
    put(own / image_path(PAUSE, "amd64"), content)
    good = Store(cache, own, own_builds={image_path(PAUSE, "amd64"): digest(content)}).image(PAUSE, "amd64")
    assert good is not None
    assert good.label == f"{PAUSE} (built)"
    bad = Store(cache, own, own_builds={image_path(PAUSE, "amd64"): digest(b"other")})
    assert f"wanted {digest(b'other')} (says own_builds)" in problem(lambda: bad.image(PAUSE, "amd64"))


def test_an_own_image_must_be_there(cache: Path, own: Path) -> None:
    store = Store(cache, own, own_builds={image_path(PAUSE, "amd64"): digest(b"x")})
    assert f"image {PAUSE}: own_builds lists images/" in problem(lambda: store.image(PAUSE, "amd64"))
    assert store.image(PAUSE, "arm64") is None


def test_image_files_are_named_by_reference() -> None:
    assert image_path("a.io/b/c:v1.9-x", "arm64") == "images/a.io_b_c_v1.9-x-arm64.tar"
