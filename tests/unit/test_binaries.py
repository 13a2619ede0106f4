"""Which binaries a machine needs, for which of its components."""

from __future__ import annotations

from cluster_samples import ONE, cluster, guide

from kubeinfra.components.artifacts_needed import needed, node_images

ALL = ("etcd", "control plane", "node")


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
