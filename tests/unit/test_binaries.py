"""Which binaries a machine needs, for which of its components."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster_samples import ONE, RELEASE, cluster, guide

from kubeinfra.__main__ import main
from kubeinfra.components.artifacts_needed import needed, node_images
from kubeinfra.releases.catalogue import ARCHES

ALL = ("etcd", "control plane", "node")
NEWEST = "1.37.2"


def directories(name: str, *components: str, arch: str = "amd64") -> dict[str, tuple[str, ...]]:
    found = guide()
    return {need.directory: need.names for need in needed(found, found.machine(name), arch, components)}


MASTER = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")


def test_a_machine_gets_what_its_groups_need_and_no_more() -> None:
    assert directories("m1", *ALL) == {"/opt/etcd/bin": ("etcd", "etcdctl"), "/opt/kubernetes/bin": MASTER}
    assert directories("m2", *ALL) == {"/opt/kubernetes/bin": MASTER}
    assert directories("n1", *ALL) == {
        "/opt/etcd/bin": ("etcd", "etcdctl"),
        "/opt/kubernetes/bin": ("kubelet", "kube-proxy"),
        "/opt/cni/bin": (),
    }
    assert directories("lb1", *ALL) == {}


def test_a_component_that_runs_alone_gets_only_its_own() -> None:
    assert directories("n1", "etcd") == {"/opt/etcd/bin": ("etcd", "etcdctl")}
    assert directories("m1", "node") == {}


def test_a_machine_with_all_roles_gets_both_halves_of_the_kubernetes_archive() -> None:
    found = cluster(ONE)
    names = [name for need in needed(found, found.machines[0], "amd64", ALL) for name in need.names]
    assert sorted(names) == sorted(["etcd", "etcdctl", *MASTER, "kubelet", "kube-proxy"])


def test_versions_and_architecture_are_followed() -> None:
    found = cluster(ONE, etcd_version="3.4.24")
    artifacts = {need.artifact.name: need.artifact for need in needed(found, found.machines[0], "arm64", ALL)}
    assert {name: (one.version, one.arch) for name, one in artifacts.items()} == {
        "etcd": ("3.4.24", "arm64"),
        "kubernetes": (found.release.kubernetes, "arm64"),
        "cni-plugins": (found.release.cni_plugins, "arm64"),
    }


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("release", [RELEASE, NEWEST])
def test_all_that_a_machine_needs_is_of_its_architecture(release: str, arch: str) -> None:
    found = cluster(ONE, kubernetes_version=release)
    artifacts = [need.artifact for need in needed(found, found.machines[0], arch)]
    assert {"kubernetes", "etcd", "cni-plugins"} <= {one.name for one in artifacts}
    assert ({"containerd", "runc", "crictl"} <= {one.name for one in artifacts}) == (release == NEWEST)
    for one in artifacts:
        (other,) = {*ARCHES} - {arch}
        assert arch in one.file and other not in " ".join((one.url, *one.members.values())), one
        assert one.checksum_url.startswith("https://"), one


def test_the_artifacts_command_fetches_all_that_a_run_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it left out, a controller without network would lack."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "group_data").mkdir()
    (tmp_path / "inventory.py").write_text(
        'machines = [("m1", {"ssh_hostname": "192.168.80.10"})]\nmaster = node = etcd = ["m1"]\nlb = []\n'
    )
    values = {"kubernetes_version": NEWEST, "cache_dir": "cache", "artifact_mirror": "http://127.0.0.1:1"}
    (tmp_path / "group_data/all.py").write_text("".join(f"{name} = {value!r}\n" for name, value in values.items()))
    assert main(["artifacts", "inventory.py", "--arch", "arm64"]) == 1
    said = capsys.readouterr().err
    for name in ("kubernetes", "etcd", "cni-plugins", "containerd", "runc", "crictl"):
        assert f"{name} " in said, said
    assert "amd64" not in said


def test_a_node_has_every_image_before_it_needs_it() -> None:
    found = guide(pause_image="example.com/pause:1")
    release = found.release
    assert node_images(found) == [
        "example.com/pause:1",
        release.flannel_image,
        release.flannel_cni_plugin_image,
        release.coredns_image,
        release.verify_image,
    ]
