"""A mirror, a proxy or a browser leaves an HTML page where a file should be: it is called so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from artifact_files import Server, digest, problem, put, tarball

from kubeinfra.artifacts.answers import is_page
from kubeinfra.artifacts.store import Store
from kubeinfra.releases.catalogue import Artifact

PAGES = [b"<!DOCTYPE html>\n<p>", b"\xef\xbb\xbf\n <HTML lang=en>", b"<head><title>"]
ARCHIVE = tarball({"etcd": b"x"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server().running() as server:
        yield server


def etcd(server: Server, pin: str | None) -> Artifact:
    url = f"{server.url}/dl/etcd.tar.gz"
    return Artifact("etcd", "9.9.9", "amd64", url, pin, "a list", f"{server.url}/dl/SHA256SUMS", {"etcd": "etcd"})


@pytest.mark.parametrize("content", [b"", ARCHIVE, b"\x7fELF", b"<?xml version='1.0'?>", b"0" * 64 + b"  <html"])
def test_other_files_are_no_pages(content: bytes) -> None:
    assert not is_page(content)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_from_a_mirror(page: bytes, server: Server, cache: Path) -> None:
    """One that wants a login says 200; a checksum file may be a page too."""
    server.files = {"/dl/etcd.tar.gz": page, "/dl/SHA256SUMS": page}
    message = problem(lambda: Store(cache).binaries(etcd(server, digest(ARCHIVE))))
    assert f"{server.url}/dl/etcd.tar.gz served an HTML page, not the file" in message
    assert f"{server.url}/dl/SHA256SUMS served an HTML page" in problem(
        lambda: Store(cache).binaries(etcd(server, None))
    )
    assert not [path for path in cache.rglob("*") if path.is_file() and path.parent != cache]


def test_a_page_that_was_saved_into_artifacts_dir(server: Server, cache: Path, own: Path) -> None:
    artifact = etcd(server, digest(ARCHIVE))
    path = put(own / artifact.path, PAGES[0])
    message = problem(lambda: Store(cache, own).binaries(artifact))
    assert message.startswith(f"{path}: has {digest(PAGES[0])} and is an HTML page, not the file")
    assert f", wanted {artifact.digest}" in message
