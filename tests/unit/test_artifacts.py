"""Artifacts from a directory, the cache and a server on 127.0.0.1: what is taken, refused, left behind."""

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from artifact_files import Server, digest, problem, put, tarball

from kubeinfra.artifacts import archives, digests, download
from kubeinfra.artifacts.store import Store
from kubeinfra.atomic import part_of
from kubeinfra.errors import KubeinfraError
from kubeinfra.releases.catalogue import Artifact

PAUSE = "registry.k8s.io/pause:9.9"

BINARIES = {"etcd": b"\x7fELF etcd" * 9000, "etcdctl": b"\x7fELF etcdctl" * 7000}
ARCHIVE = tarball({f"./etcd-v9/{name}": content for name, content in BINARIES.items()} | {"etcd-v9/README": b"no"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server().running() as server:
        yield server


@pytest.fixture
def etcd(server: Server) -> Artifact:
    """An artifact that the server has, with its pin."""
    server.files["/dl/etcd.tar.gz"] = ARCHIVE
    return Artifact(
        name="etcd",
        version="9.9.9",
        arch="amd64",
        url=f"{server.url}/dl/etcd.tar.gz",
        digest=digest(ARCHIVE, "sha512"),
        source="a list",
        checksum_url=f"{server.url}/dl/SHA256SUMS",
        members={"etcd": "etcd-v9/etcd", "etcdctl": "etcd-v9/etcdctl"},
    )


def archives_in(cache: Path) -> list[str]:
    """What a failed fetch must not leave: anything but lock and index, half files included."""
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file() and path.parent != cache)


def fetch(store: Store, artifact: Artifact) -> Path:
    """The archive, as `binaries` gets it before it unpacks it; the index is not saved."""
    return store.sources.fetch(artifact)[0]


def test_a_file_that_is_no_archive_is_the_binary_itself(server: Server, cache: Path, own: Path) -> None:
    """And its digest is upstream's for it, in a file for all architectures."""
    runc = BINARIES["etcd"]
    server.files["/dl/runc.amd64"] = runc
    server.files["/dl/runc.sha256sum"] = (
        f"{digest(b'other')[7:]}  runc.arm64\n{digest(runc)[7:]}  runc.amd64\n".encode()
    )
    artifact = Artifact(
        name="runc",
        version="9.9.9",
        arch="amd64",
        url=f"{server.url}/dl/runc.amd64",
        digest=None,
        source=None,
        checksum_url=f"{server.url}/dl/runc.sha256sum",
        members={},
        is_archive=False,
    )
    assert [(one.name, one.sha256) for one in Store(cache).wanted(artifact)] == [("runc", None)]
    (binary,) = Store(cache).binaries(artifact)
    assert (binary.name, binary.sha256, binary.path.read_bytes()) == ("runc", digest(runc)[7:], runc)
    assert binary.path.stat().st_mode & 0o777 == 0o755
    assert gzip.decompress(binary.gzip_path.read_bytes()) == runc
    assert [one.sha256 for one in Store(cache).wanted(artifact)] == [binary.sha256]
    put(own / artifact.path, b"another")
    assert f"has {digest(b'another')}, wanted {digest(runc)}" in problem(lambda: Store(cache, own).binaries(artifact))


# Where an archive comes from


def test_a_download_enters_the_cache_and_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, server: Server, etcd: Artifact, cache: Path
) -> None:
    monkeypatch.setattr(digests, "hash_file", lambda *_: pytest.fail("it was hashed on its way"))
    Store(cache).binaries(etcd)
    path = fetch(Store(cache), etcd)
    assert path == cache / "etcd/9.9.9/etcd.tar.gz"
    assert path.read_bytes() == ARCHIVE
    assert server.asked == ["GET /dl/etcd.tar.gz"]


def test_artifacts_dir_comes_before_cache_and_upstream(server: Server, etcd: Artifact, cache: Path, own: Path) -> None:
    put(cache / etcd.path, ARCHIVE)
    path = put(own / etcd.path, ARCHIVE)
    assert fetch(Store(cache, own), etcd) == path
    assert server.asked == []


@pytest.mark.parametrize("act", ["binaries", "wanted"])
def test_a_wrong_file_in_artifacts_dir_is_an_error_although_others_have_it(
    act: str, etcd: Artifact, cache: Path, own: Path
) -> None:
    Store(cache).binaries(etcd)
    path = put(own / etcd.path, b"another file")
    message = problem(lambda: getattr(Store(cache, own), act)(etcd))
    assert message.startswith(f"{path}: has {digest(b'another file', 'sha512')}, wanted {etcd.digest}")
    assert "pins.toml, from a list" in message


def test_a_damaged_file_in_the_cache_is_fetched_again(etcd: Artifact, cache: Path) -> None:
    put(cache / etcd.path, ARCHIVE[:-1])
    assert fetch(Store(cache), etcd).read_bytes() == ARCHIVE


def test_a_changed_file_is_hashed_again(etcd: Artifact, cache: Path, own: Path) -> None:
    path = put(own / etcd.path, ARCHIVE)
    Store(cache, own).binaries(etcd)
    path.write_bytes(bytes(len(ARCHIVE)))
    assert "wanted sha512:" in problem(lambda: Store(cache, own).binaries(etcd))


def test_the_mirror_takes_the_place_of_scheme_and_host(server: Server, etcd: Artifact, cache: Path) -> None:
    away = replace(etcd, url="https://upstream.invalid/dl/etcd.tar.gz")
    server.files = {"/m/dl/etcd.tar.gz": ARCHIVE, "/m/upstream.invalid/dl/etcd.tar.gz": ARCHIVE}
    fetch(Store(cache, mirror=f"{server.url}/m/"), away)
    fetch(Store(cache / "2", mirror=f"{server.url}/m/{{host}}"), away)
    assert server.asked == ["GET /m/dl/etcd.tar.gz", "GET /m/upstream.invalid/dl/etcd.tar.gz"]


def test_the_error_for_a_missing_file_names_all_places_and_the_way_out(
    server: Server, etcd: Artifact, cache: Path, own: Path
) -> None:
    server.files.clear()
    message = problem(lambda: fetch(Store(cache, own), etcd))
    assert "\n" not in message
    for part in (
        f"etcd 9.9.9 (amd64, {etcd.digest}) cannot be had: ",
        f"{own}/etcd/9.9.9/etcd.tar.gz does not exist",
        f"{cache}/etcd/9.9.9/etcd.tar.gz does not exist",
        f"{etcd.url}: 404 ",
        f"put the file at {own}/etcd/9.9.9/etcd.tar.gz",
        "artifact_mirror",
    ):
        assert part in message
    assert "artifacts_dir is not set" in problem(lambda: fetch(Store(cache), etcd))


def test_all_missing_artifacts_are_reported_at_once(server: Server, etcd: Artifact, cache: Path) -> None:
    def missing(number: int) -> Artifact:
        return replace(etcd, url=f"{server.url}/{number}", digest=digest(bytes(number)))

    with pytest.raises(KubeinfraError) as error:
        Store(cache).fetch_all([missing(1), etcd, missing(2)])
    assert [f"{server.url}/{number}: 404" in line for number, line in enumerate(error.value.problems, 1)] == [True] * 2
    assert (cache / etcd.path).exists(), "the others are fetched all the same"


# Downloads that go wrong leave nothing


def test_a_download_with_another_digest_is_refused(server: Server, etcd: Artifact, cache: Path) -> None:
    server.files["/dl/etcd.tar.gz"] = b"an error page of a proxy"
    message = problem(lambda: fetch(Store(cache), etcd))
    assert f"{etcd.url} served {digest(b'an error page of a proxy', 'sha512')}" in message
    assert archives_in(cache) == []


def test_a_truncated_download_is_refused(server: Server, etcd: Artifact, cache: Path) -> None:
    server.cut.add("/dl/etcd.tar.gz")
    message = problem(lambda: fetch(Store(cache), etcd))
    assert f"ended after {len(ARCHIVE) // 2} of {len(ARCHIVE)} bytes" in message
    assert archives_in(cache) == []


def test_an_interrupted_download_leaves_nothing_and_the_next_one_succeeds(etcd: Artifact, cache: Path) -> None:
    def interrupt(what: str, done: int, total: int | None) -> None:
        assert part_of(cache / etcd.path).exists(), "a download is written next to its final name"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(Store(cache, progress=interrupt), etcd)
    assert archives_in(cache) == []
    put(part_of(cache / etcd.path), b"what a killed process left")
    fetch(Store(cache), etcd)
    assert archives_in(cache) == [etcd.path]


def test_progress_has_bytes_so_far_and_in_all(etcd: Artifact, cache: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    fetch(Store(cache, progress=lambda *step: seen.append(step)), etcd)
    assert seen[-1] == (f"downloading {etcd.url}", len(ARCHIVE), len(ARCHIVE))


def test_progress_is_shown_in_megabytes_and_percent_if_they_are_known() -> None:
    assert download.progress_line("downloading x", 45_000_000, 300_000_000) == "downloading x: 45 of 300 MB (15%)"
    assert download.progress_line("downloading x", 45_000_000, None) == "downloading x"


def test_a_refused_connection_is_named(etcd: Artifact, cache: Path) -> None:
    nobody = replace(etcd, url="http://127.0.0.1:1/etcd.tar.gz")
    assert "http://127.0.0.1:1/etcd.tar.gz: Connection refused" in problem(lambda: fetch(Store(cache), nobody))
    assert Store(cache).reachable(nobody, 1) is False


def test_reachable_asks_without_downloading(server: Server, etcd: Artifact, cache: Path) -> None:
    assert Store(cache).reachable(etcd, 1) is True
    assert Store(cache).reachable(replace(etcd, url=f"{server.url}/other"), 1) is False
    assert server.asked == ["HEAD /dl/etcd.tar.gz", "HEAD /other"]


def test_a_server_that_never_answers_ends_in_a_message(
    monkeypatch: pytest.MonkeyPatch, server: Server, etcd: Artifact, cache: Path
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    server.silent = threading.Event()
    message = problem(lambda: fetch(Store(cache), etcd))
    server.silent.set()
    assert f"{etcd.url}: no answer within 0.2 s" in message


def test_processes_that_want_the_same_wait_for_one_download(server: Server, etcd: Artifact, cache: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from kubeinfra.artifacts.store import Store; "
        "from kubeinfra.releases.catalogue import Artifact; url, digest, cache = sys.argv[1:]; "
        "one = Artifact('etcd', '9.9.9', 'amd64', url, digest, None, '', {'etcd': 'etcd-v9/etcd'}); "
        "print(Store(Path(cache)).binaries(one))"
    )
    command = [sys.executable, "-c", program, etcd.url, str(etcd.digest), str(cache)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    found = [process.communicate(timeout=30)[0] for process in running]
    assert server.asked == ["GET /dl/etcd.tar.gz"]
    assert found[0] and set(found) == {found[0]}


# Digests that no list has


@pytest.fixture
def unlisted(server: Server, etcd: Artifact) -> Artifact:
    """Without a pin; the server has a checksum file."""
    server.files["/dl/SHA256SUMS"] = f"{'0' * 64}  other\n{digest(ARCHIVE)[7:]}  etcd.tar.gz\n".encode()
    return replace(etcd, digest=None, source=None)


def test_without_a_pin_upstreams_checksum_file_decides_once_and_for_all(
    server: Server, unlisted: Artifact, cache: Path
) -> None:
    Store(cache).binaries(unlisted)
    assert server.asked == ["GET /dl/SHA256SUMS", "GET /dl/etcd.tar.gz"]
    changed = tarball({"etcd-v9/etcd": b"evil"})
    server.files["/dl/etcd.tar.gz"] = changed
    server.files["/dl/SHA256SUMS"] = f"{digest(changed)[7:]}  etcd.tar.gz\n".encode()
    (cache / unlisted.path).unlink()
    message = problem(lambda: fetch(Store(cache), unlisted))
    assert f"served {digest(changed)}" in message
    assert digest(ARCHIVE) in message, "the digest of the first fetch is still what is wanted"


def test_the_first_process_decides_for_those_that_started_before(
    server: Server, unlisted: Artifact, cache: Path
) -> None:
    late = Store(cache)
    Store(cache).binaries(unlisted)
    late.binaries(unlisted)
    assert server.asked.count("GET /dl/SHA256SUMS") == 1


def test_a_file_that_the_checksum_file_does_not_confirm_is_refused(
    server: Server, unlisted: Artifact, cache: Path
) -> None:
    server.files["/dl/SHA256SUMS"] = b"0" * 64 + b"  etcd.tar.gz\n"
    assert "served sha256:" in problem(lambda: Store(cache).binaries(unlisted))
    server.files["/dl/SHA256SUMS"] = b"0" * 64 + b"  other.tar.gz\n"
    assert "SHA256SUMS has no digest for etcd.tar.gz" in problem(lambda: Store(cache).binaries(unlisted))
    assert archives_in(cache) == []
    assert "etcd/9.9.9" not in (cache / "index.json").read_text(), "what failed must not be recorded"


def test_the_checksum_file_may_lie_next_to_the_archive(
    server: Server, unlisted: Artifact, cache: Path, own: Path
) -> None:
    checksums = server.files.pop("/dl/SHA256SUMS")
    path = put(own / unlisted.path, ARCHIVE)
    message = problem(lambda: fetch(Store(cache, own), unlisted))
    assert message.startswith(f"{path}: cannot be checked")
    assert f"put upstream's {unlisted.checksum_url} next to it" in message
    put(path.with_name("SHA256SUMS"), checksums)
    assert fetch(Store(cache, own), unlisted) == path


# Builds of the user's own


def test_an_own_build_takes_the_place_of_the_release(server: Server, etcd: Artifact, cache: Path, own: Path) -> None:
    built = tarball({"etcd-v9/etcd": b"mine", "etcd-v9/etcdctl": b"mine too"})
    put(own / etcd.path, built)
    store = Store(cache, own, own_builds={etcd.path: digest(built)})
    assert store.version_label(etcd) == "9.9.9 (built)"
    assert {(entry.version, entry.archive, entry.sha256) for entry in store.wanted(etcd)} == {
        ("9.9.9 (built)", digest(built), None)
    }
    assert [binary.path.read_bytes() for binary in store.binaries(etcd)] == [b"mine", b"mine too"]


def test_an_own_build_is_not_looked_for_upstream(server: Server, etcd: Artifact, cache: Path, own: Path) -> None:
    store = Store(cache, own, own_builds={etcd.path: digest(b"mine")})
    message = problem(lambda: fetch(store, etcd))
    assert digest(b"mine") in message
    assert "own_builds" in message
    assert "artifact_mirror" not in message
    assert server.asked == []


def test_invalid_settings_are_reported_all_at_once(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(KubeinfraError) as error:
        Store(cache, tmp_path / "none", "mirror.example", {"etcd/1/x": "1234"})
    assert len(error.value.problems) == 3
    assert not cache.exists()


# Binaries


def test_binaries_come_with_digests_and_gzip_copies(etcd: Artifact, cache: Path) -> None:
    found = Store(cache).binaries(etcd)
    assert [binary.name for binary in found] == ["etcd", "etcdctl"]
    for binary in found:
        content = BINARIES[binary.name]
        assert binary.path.read_bytes() == content
        assert gzip.decompress(binary.gzip_path.read_bytes()) == content
        assert (binary.sha256, binary.size) == (digest(content)[7:], len(content))
        assert (binary.version, binary.archive) == ("9.9.9", etcd.digest)
        assert binary.path.stat().st_mode & 0o777 == 0o755


def test_the_second_time_nothing_is_hashed_unpacked_or_compressed(
    monkeypatch: pytest.MonkeyPatch, etcd: Artifact, cache: Path, own: Path
) -> None:
    put(own / etcd.path, ARCHIVE)
    first = Store(cache, own).binaries(etcd)
    refuse = pytest.fail
    monkeypatch.setattr(digests, "hash_file", lambda *_: refuse("hashed again"))
    monkeypatch.setattr(archives, "hash_file", lambda *_: refuse("hashed again"))
    monkeypatch.setattr(archives, "_compress", lambda *_: refuse("compressed again"))
    assert Store(cache, own).binaries(etcd) == first
    assert [entry.sha256 for entry in Store(cache, own).wanted(etcd)] == [binary.sha256 for binary in first]


@pytest.mark.parametrize("harm", ["changed", "deleted", "record"])
def test_a_damaged_binary_is_unpacked_again(harm: str, etcd: Artifact, cache: Path) -> None:
    first = Store(cache).binaries(etcd)[0]
    if harm == "changed":
        first.path.write_bytes(bytes(first.size))
    elif harm == "deleted":
        first.path.unlink()
    else:
        first.path.with_name(archives.RECORD).write_text("{")
    assert Store(cache).wanted(etcd)[0].sha256 is None, "a plan must not trust it either"
    assert Store(cache).binaries(etcd)[0].path.read_bytes() == BINARIES["etcd"]


def test_members_that_a_newer_version_adds_are_unpacked(etcd: Artifact, cache: Path) -> None:
    Store(cache).binaries(replace(etcd, members={"etcd": "etcd-v9/etcd"}))
    assert [entry.sha256 for entry in Store(cache).wanted(etcd)] == [None, None]
    assert [binary.name for binary in Store(cache).binaries(etcd)] == ["etcd", "etcdctl"]


def test_a_missing_gzip_copy_is_created_again(etcd: Artifact, cache: Path) -> None:
    lost = Store(cache).binaries(etcd)[0].gzip_path
    before = lost.read_bytes()
    lost.unlink()
    assert Store(cache).binaries(etcd)[0].gzip_path.read_bytes() == before


def test_binaries_outlive_their_archive(server: Server, etcd: Artifact, cache: Path) -> None:
    first = Store(cache).binaries(etcd)
    (cache / etcd.path).unlink()
    server.files.clear()
    assert Store(cache).binaries(etcd) == first


def test_a_plan_uses_no_network_and_writes_nothing(server: Server, etcd: Artifact, cache: Path, own: Path) -> None:
    put(own / etcd.path, ARCHIVE)
    for store in (Store(cache), Store(cache, own)):
        assert [(entry.name, entry.archive, entry.sha256) for entry in store.wanted(etcd)] == [
            ("etcd", etcd.digest, None),
            ("etcdctl", etcd.digest, None),
        ]
        assert store.wanted(replace(etcd, digest=None))[0].archive == etcd.url
        assert store.image(PAUSE, "amd64") is None
    assert (server.asked, cache.exists()) == ([], False)


def test_all_executable_files_are_taken_if_no_members_are_named(server: Server, etcd: Artifact, cache: Path) -> None:
    content = tarball({"./bridge": b"b", "./host-local": b"h"})
    plugins = replace(etcd, name="cni-plugins", digest=digest(content), members={})
    server.files["/dl/etcd.tar.gz"] = content
    assert [entry.name for entry in Store(cache).wanted(plugins)] == ["cni-plugins"]
    assert [binary.name for binary in Store(cache).binaries(plugins)] == ["bridge", "host-local"]
    assert [entry.name for entry in Store(cache).wanted(plugins)] == ["bridge", "host-local"]
