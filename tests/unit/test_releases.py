"""What the catalogue of releases says, and that nothing else says it."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeinfra.artifacts.digests import is_digest
from kubeinfra.errors import KubeinfraError
from kubeinfra.releases.catalogue import (
    ARCHES,
    DEFAULT,
    NEWEST,
    PINS,
    PROOFS,
    TABLES,
    artifact,
    reason_against,
    release,
)
from kubeinfra.releases.versions import is_release, minor_of, numbers

ROOT = Path(__file__).parents[2]
DIGESTS = [
    (name, version, arch, digest)
    for name, pins in PINS.items()
    for version, pin in pins.items()
    for arch, digest in pin.items()
    if arch != "source"
]
ARTIFACTS = ("etcd", "cni-plugins", "containerd", "runc", "crictl")
"""Those whose default version a release names, under the artifact's own name but for "-"."""


def test_every_minor_from_1_20_to_1_37_is_there_once_and_in_order() -> None:
    assert list(NEWEST) == [f"1.{minor}" for minor in range(20, 38)]
    assert all(minor_of(newest) == minor for minor, newest in NEWEST.items())


@pytest.mark.parametrize("version", NEWEST.values())
def test_a_release_is_complete(version: str) -> None:
    found = release(version)
    images = [getattr(found, name) for name in vars(found) if name.endswith("_image")]
    assert len(images) == 6
    assert all(re.fullmatch(r"[a-z0-9.-]+(/[a-z0-9-]+)+:[\w.-]+", image) for image in images), images
    assert (found.kubernetes, found.newest) == (version, version)
    assert all(is_release(getattr(found, name.replace("-", "_"))) for name in ARTIFACTS)
    for arch in ARCHES:
        for name in ARTIFACTS:
            assert artifact(name, getattr(found, name.replace("-", "_")), arch).checksum_url.startswith("https://")


@pytest.mark.parametrize("version", NEWEST.values())
def test_defaults_are_within_what_goes_with_the_release(version: str) -> None:
    found = release(version)
    assert found.etcd_from <= numbers(found.etcd) < found.etcd_below
    assert found.containerd_from <= numbers(found.containerd) < found.containerd_below
    assert (found.container_runtime == "docker") == (found.docker_below is not None) == (found.minor <= (1, 23))
    assert minor_of(found.crictl) == minor_of(version), "crictl of the same minor knows the kubelet's CRI"


def test_what_a_later_minor_does_not_say_is_what_the_one_before_it_said() -> None:
    first, last = release("1.20.15"), release("1.37.2")
    assert last.flannel_image == first.flannel_image
    assert (first.coredns_image, last.coredns_image) == tuple(
        f"registry.k8s.io/coredns/coredns:v{version}" for version in ("1.10.1", "1.14.6")
    )


def test_the_first_release_goes_with_what_the_guide_uses() -> None:
    first = release("1.20.15")
    assert (first.etcd, first.cni_plugins, first.minor) == ("3.4.26", "1.3.0", (1, 20))
    assert (first.container_runtime, first.docker_below) == ("docker", 29)
    assert first.cni_config_version == "0.3.1", "libcni 0.8 cannot read 1.0.0"
    assert first.end_of_life == date(2022, 2, 28)
    assert first.control_plane_taints == ("node-role.kubernetes.io/master",)


@pytest.mark.parametrize("version", ["1.20.14", "1.37.5", "1.24.0", "1.30.9999"])
def test_any_patch_of_a_known_minor_is_a_release(version: str) -> None:
    assert release(version).kubernetes == version
    assert vars(release(version)) | {"kubernetes": ""} == vars(release(release(version).newest)) | {"kubernetes": ""}


OLD = "it is older than what this checkout knows, 1.20 to 1.37; the nearest is '1.20.15'"
NEW = "it is newer than what this checkout knows, 1.20 to 1.37; the nearest is '1.37.2'"
NONE = "write a release by its three numbers, such as '{}'; `python -m kubeinfra releases` lists them"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("1.37", "its third number is missing: '1.37.2'"),
        ("v1.37", "its third number is missing: '1.37.2'"),
        ("v1.37.2", "write the three numbers alone: '1.37.2'"),
        (" 1.37.2", "write the three numbers alone: '1.37.2'"),
        (1.37, "write it as text, with all three numbers: '1.37.2'"),
        (1.2, "write it as text, with all three numbers: '1.20.15'"),  # what Python makes of 1.20
        (137, "write it as text, with all three numbers: '1.37.2'"),
        ("1.19.0", OLD),
        ("1.19", OLD),
        ("v1.19.0", OLD),
        ("1.38.0", NEW),
        ("2.0.0", NEW),
        ("1.20.I5", NONE.format("1.20.15")),
        *((text, NONE.format("1.37.2")) for text in ("latest", "", "1.37.2-rc.1", "1.037.2", "1.37.2.1", "१.३७.२")),
    ],
)
def test_what_is_no_release_gets_one_sentence_with_what_to_write(wrong: Any, reason: str) -> None:
    assert reason_against(wrong) == reason
    with pytest.raises(KubeinfraError, match=re.escape(f"kubernetes_version is {wrong!r}: {reason}")):
        release(wrong)


def test_the_default_is_the_newest_that_is_proved() -> None:
    proved = [proof.release for proof in PROOFS]
    assert DEFAULT in proved
    assert all(numbers(version) <= numbers(DEFAULT) for version in proved)
    assert all(reason_against(proof.release) is None and proof.how for proof in PROOFS)
    assert all(proof.date <= date.today() for proof in PROOFS)


def test_a_proof_has_all_figures_or_none() -> None:
    for proof in PROOFS:
        measured = (proof.machines, proof.first_deploy, proof.second_run)
        assert all(measured) or not any(measured), proof


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
    assert artifact("etcd", "3.5.0", "arm64").members.keys() == {"etcd", "etcdctl", "etcdutl"}
    assert artifact("containerd", "2.4.2", "amd64").members["ctr"] == "bin/ctr"
    assert set(artifact("kubernetes", "1.20.15", "amd64").members) == {
        *("kube-apiserver", "kube-controller-manager", "kube-scheduler"),
        *("kubectl", "kubelet", "kube-proxy"),
    }
    assert artifact("cni-plugins", "1.3.0", "amd64").members == {}, "all of them"


def test_runc_is_no_archive() -> None:
    found = artifact("runc", "1.4.3", "arm64")
    assert (found.path, found.is_archive, found.members) == ("runc/1.4.3/runc.arm64", False, {})
    assert artifact("crictl", "1.36.0", "arm64").is_archive


def test_another_architecture_is_refused() -> None:
    with pytest.raises(KubeinfraError, match="'s390x' is not supported: machines must be amd64 or arm64"):
        artifact("etcd", "3.4.26", "s390x")


@given(version=st.from_regex(r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,2}", fullmatch=True), arch=st.sampled_from(ARCHES))
def test_any_etcd_version_has_an_artifact_and_only_listed_ones_a_pin(version: str, arch: str) -> None:
    found = artifact("etcd", version, arch)
    assert found.path == f"etcd/{version}/etcd-v{version}-linux-{arch}.tar.gz"
    assert (found.digest is None) == (found.source is None) == (version not in PINS["etcd"])


def test_every_pin_is_a_digest_with_its_source_and_no_two_are_equal() -> None:
    wrong = [pin for pin in DIGESTS if not is_digest(pin[3])]
    assert not wrong, f"not a digest: {wrong}"
    assert len({digest for *_, digest in DIGESTS}) == len(DIGESTS), "two files have one digest: a slip in copying"
    for name, version, arch, digest in DIGESTS:
        found = artifact(name, version, arch)
        assert (found.digest, bool(found.source)) == (digest, True)


def versions_of_releases() -> set[str]:
    """Every version in the TOML files, those in image tags included, as "major.minor.patch"."""
    return set(re.findall(r"\d+\.\d+\.\d+", repr(TABLES["minor"]) + repr([list(pins) for pins in PINS.values()])))


def test_no_version_of_a_release_stands_outside_the_catalogue() -> None:
    versions = "|".join(map(re.escape, sorted(versions_of_releases())))
    pattern = re.compile(rf"(?<![\d.])v?({versions})(?![\d.]*\d)")
    sources = [
        path
        for folder in ("kubeinfra", "tasks")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".toml", ".yaml", ".j2"} and path.parent.name != "releases"
    ]
    assert sources, "this test looks at nothing"
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, "these belong in kubeinfra/releases/:\n" + "\n".join(found)
