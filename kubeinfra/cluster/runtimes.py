"""Checks of what the settings say of the container runtime, against each other and against the Kubernetes release."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.cluster.registries import DOCKER_HUB, by_registry
from kubeinfra.releases.versions import written

Where = Callable[[str], str]


def runtime_goes_with_the_release(cluster: Cluster, where: Where) -> Iterator[str]:
    """dockershim was removed in 1.24 (kubernetes/CHANGELOG/CHANGELOG-1.24.md)."""
    if cluster.container_runtime == "docker" and cluster.release.docker_below is None:
        yield (
            f"{where('container_runtime')}: container_runtime is 'docker', which Kubernetes "
            f"{cluster.settings.kubernetes_version} cannot use, as 1.23 was the last that could; take it out, and "
            "containerd runs the containers"
        )


def docker_goes_with_the_release(cluster: Cluster, where: Where) -> Iterator[str]:
    """Docker's later releases answer no client as old as the kubelet's (`docker_below` of the catalogue)."""
    version, below = cluster.settings.docker_version, cluster.release.docker_below
    if version is None or below is None or cluster.container_runtime != "docker":
        return
    if (first := version.partition(".")[0]).isdecimal() and int(first) >= below:
        yield (
            f"{where('docker_version')}: docker_version is {version!r}, and Kubernetes "
            f"{cluster.settings.kubernetes_version} needs one below {below}; take it out, and one that fits comes"
        )


def containerd_goes_with_the_release(cluster: Cluster, where: Where) -> Iterator[str]:
    """
    Kubelets up to 1.22 speak CRI v1alpha2 only, which containerd 2.0 dropped, and those from 1.26 on v1 only, which
    containerd 1.6 brought; upstream tests newer pairs (containerd's RELEASES.md, Kubernetes support).
    """
    version, settings = cluster.settings.containerd_version, cluster.settings
    if version is None or cluster.container_runtime != "containerd":
        return
    found = tuple(int(part) for part in version.split(".")[:2])
    first, below = cluster.release.containerd_from, cluster.release.containerd_below
    setting = f"{where('containerd_version')}: containerd_version is {version!r}"
    if not first <= found < below:
        yield (
            f"{setting}, and Kubernetes {settings.kubernetes_version} goes with {written(first)} to below "
            f"{written(below)}; take it out, and {cluster.release.containerd} is installed"
        )
    if settings.containerd_source == "distribution":
        yield f"{setting}, and containerd_source is 'distribution', which has one version only; take one of them out"
    elif settings.containerd_source == "upstream" and version.count(".") < 2:
        yield f"{setting}, and upstream's releases have three numbers; use such as {cluster.release.containerd!r}"


def settings_are_of_the_runtime(cluster: Cluster, where: Where) -> Iterator[str]:
    """What is said of the other runtime would be silently left out."""
    name = cluster.container_runtime
    other = {"docker": "containerd", "containerd": "docker"}[name]
    setting = f"{other}_extra_config"
    if getattr(cluster.settings, setting):
        yield (
            f"{where(setting)}: {setting} is set, and the container runtime is {name}; say what you want of it in "
            f"{name}_extra_config, and take it out"
        )
    further = sorted(by_registry(cluster.settings.registry_mirrors).keys() - {DOCKER_HUB})
    with_more = [one.url for one in by_registry(cluster.settings.registry_mirrors).get(DOCKER_HUB, []) if one.is_more]
    if name == "docker" and (further or with_more):
        yield (
            f"{where('registry_mirrors')}: registry_mirrors has {', '.join(further or with_more)}, and Docker takes "
            "mirrors of Docker Hub only, without a path and a CA; take them out, or set container_runtime to "
            "'containerd'"
        )


def kubelets_can_rotate_logs(cluster: Cluster, where: Where) -> Iterator[str]:
    """Docker rotates them itself; a kubelet refuses fewer than two files (pkg/kubelet/apis/config/validation)."""
    if cluster.container_runtime == "containerd" and cluster.settings.container_log_max_files < 2:
        yield (
            f"{where('container_log_max_files')}: container_log_max_files is 1, and with containerd the kubelet "
            "rotates logs, which needs 2; use 2 or more"
        )


CHECKS = (
    runtime_goes_with_the_release,
    docker_goes_with_the_release,
    containerd_goes_with_the_release,
    settings_are_of_the_runtime,
    kubelets_can_rotate_logs,
)
