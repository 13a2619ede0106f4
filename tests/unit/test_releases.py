"""What catalogue.toml says, and that nothing else says it."""

import re
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeinfra.artifacts.digests import is_digest
from kubeinfra.errors import KubeinfraError
from kubeinfra.releases.catalogue import ARCHES, SUPPORTED, TABLES, artifact, release

ROOT = Path(__file__).parents[2]
PINS = [
    (name, version, arch, digest)
    for name, table in TABLES["artifact"].items()
    for version, pin in table["pins"].items()
    for arch, digest in pin.items()
    if arch != "source"
]


@pytest.mark.parametrize("version", SUPPORTED)
def test_a_supported_release_is_complete(version: str) -> None:
    found = release(version)
    images = [found.pause_image, found.flannel_image, found.flannel_cni_plugin_image, found.verify_image]
    assert found.kubernetes == version
    assert all(re.fullmatch(r"[a-z0-9.-]+(/[a-z0-9-]+)+:[\w.-]+", image) for image in images), images
    for arch in ARCHES:
        assert artifact("kubernetes", version, arch).digest, "binaries of a supported release must have a pin"
        assert artifact("cni-plugins", found.cni_plugins, arch).digest
        assert artifact("etcd", found.etcd, arch).checksum_url.startswith("https://")


def test_the_first_release_goes_with_what_the_guide_uses() -> None:
    first = release("1.20.15")
    assert (first.etcd, first.cni_plugins, first.minor) == ("3.4.26", "1.3.0", (1, 20))
    assert first.cni_config_version == "0.3.1", "libcni 0.8 cannot read 1.0.0"


@pytest.mark.parametrize(("wrong", "suggested"), [("1.20.5", True), ("v1.20.15", True), ("latest", False)])
def test_the_error_for_an_unsupported_version_lists_the_supported_ones(wrong: str, suggested: bool) -> None:
    with pytest.raises(KubeinfraError, match=re.escape(repr(wrong))) as error:
        release(wrong)
    assert "supported: " + ", ".join(SUPPORTED) in str(error.value)
    assert ("did you mean '1.20.15'?" in str(error.value)) is suggested


def test_artifacts_have_the_paths_that_the_pages_give() -> None:
    paths = [
        artifact("kubernetes", "1.20.15", "amd64").path,
        artifact("etcd", "3.4.26", "arm64").path,
        artifact("cni-plugins", "1.3.0", "amd64").path,
    ]
    assert paths == [
        "kubernetes/1.20.15/kubernetes-server-linux-amd64.tar.gz",
        "etcd/3.4.26/etcd-v3.4.26-linux-arm64.tar.gz",
        "cni-plugins/1.3.0/cni-plugins-linux-amd64-v1.3.0.tgz",
    ]


def test_members_are_named_by_their_binaries() -> None:
    assert artifact("etcd", "3.4.26", "arm64").members == {
        "etcd": "etcd-v3.4.26-linux-arm64/etcd",
        "etcdctl": "etcd-v3.4.26-linux-arm64/etcdctl",
    }
    assert set(artifact("kubernetes", "1.20.15", "amd64").members) == {
        *("kube-apiserver", "kube-controller-manager", "kube-scheduler"),
        *("kubectl", "kubelet", "kube-proxy"),
    }
    assert artifact("cni-plugins", "1.3.0", "amd64").members == {}, "all of them"


def test_another_architecture_is_refused() -> None:
    with pytest.raises(KubeinfraError, match="'s390x' is not supported: machines must be amd64 or arm64"):
        artifact("etcd", "3.4.26", "s390x")


@given(version=st.from_regex(r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,2}", fullmatch=True), arch=st.sampled_from(ARCHES))
def test_any_etcd_version_has_an_artifact_and_only_listed_ones_a_pin(version: str, arch: str) -> None:
    found = artifact("etcd", version, arch)
    assert found.path == f"etcd/{version}/etcd-v{version}-linux-{arch}.tar.gz"
    assert (found.digest is None) == (found.source is None) == (version not in TABLES["artifact"]["etcd"]["pins"])


def test_every_pin_is_a_digest_with_its_source_and_no_two_are_equal() -> None:
    wrong = [pin for pin in PINS if not is_digest(pin[3])]
    assert not wrong, f"not a digest: {wrong}"
    assert len({digest for *_, digest in PINS}) == len(PINS), "two files cannot have one digest: a slip in copying"
    for name, version, arch, digest in PINS:
        found = artifact(name, version, arch)
        assert (found.digest, bool(found.source)) == (digest, True)


def versions_of_releases() -> set[str]:
    """Every version in catalogue.toml, those in image tags included, as "major.minor.patch"."""
    releases = map(str, chain.from_iterable(table.values() for table in TABLES["release"].values()))
    pins = chain.from_iterable(table["pins"] for table in TABLES["artifact"].values())
    return set(re.findall(r"\d+\.\d+\.\d+", " ".join([*SUPPORTED, *releases, *pins])))


def test_no_version_of_a_release_stands_outside_releases_toml() -> None:
    versions = "|".join(map(re.escape, sorted(versions_of_releases())))
    pattern = re.compile(rf"(?<![\d.])v?({versions})(?![\d.]*\d)")
    sources = [
        path
        for folder in ("kubeinfra", "tasks")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".toml", ".yaml", ".j2"} and path.name != "catalogue.toml"
    ]
    assert sources, "this test looks at nothing"
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, "these belong in kubeinfra/releases/catalogue.toml:\n" + "\n".join(found)
