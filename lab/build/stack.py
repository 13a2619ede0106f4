"""What the lab builds for a Kubernetes release: the catalogue's versions, or the nearest that can be had as sources."""

from functools import partial

from kubeinfra.artifacts.images import image_path
from kubeinfra.releases.catalogue import Release, artifact

from . import cni, containerd, coredns, crictl, etcd, etcd_modules, flannel, kubernetes, metrics_server, runc
from .architecture import ARCHITECTURES, OWN
from .base import Build, Recipe

# Of most of its releases the module is not published; where it is missing, the lab does without.
CRICTL = ("1.34.0", "1.36.0", "1.37.0")

# By minor: module -> the version that is taken in place of the release's. Some that upstream pins do not compile with a
# Go of today, or do not work: reflect2 1.0.1 reads maps as Go had them before 1.18. Of some of Kubernetes' own modules
# the release's number cannot be had; then it is the nearest that can.
REFLECT = {"github.com/modern-go/reflect2": "v1.0.2"}
PINS: dict[tuple[int, int], dict[str, str]] = {
    (1, 20): REFLECT | {"golang.org/x/sys": "v0.1.0"},
    (1, 21): REFLECT,
    (1, 22): REFLECT | {"k8s.io/kube-controller-manager": "v0.22.16"},
    (1, 25): {"k8s.io/kube-proxy": "v0.25.4", "k8s.io/kubelet": "v0.25.5"},
    (1, 26): {
        "k8s.io/controller-manager": "v0.26.13",
        "k8s.io/kube-controller-manager": "v0.26.13",
        "k8s.io/kube-proxy": "v0.26.13",
    },
    (1, 27): {"k8s.io/legacy-cloud-providers": "v0.27.11"},
    (1, 29): {
        "k8s.io/endpointslice": "v0.29.5",
        "k8s.io/kube-controller-manager": "v0.29.5",
        "k8s.io/legacy-cloud-providers": "v0.29.5",
    },
    (1, 30): {"k8s.io/sample-apiserver": "v0.30.6"},
    (1, 31): {
        "k8s.io/endpointslice": "v0.31.13",
        "k8s.io/kube-controller-manager": "v0.31.13",
        "k8s.io/kube-proxy": "v0.31.11",
        "k8s.io/kube-scheduler": "v0.31.13",
        "k8s.io/sample-apiserver": "v0.31.12",
    },
    (1, 32): {"k8s.io/endpointslice": "v0.32.12", "k8s.io/sample-apiserver": "v0.32.10"},
}


def sources(version: str) -> kubernetes.Sources:
    """Kubernetes of this version, as it can be compiled."""
    major, minor, _ = version.split(".")
    return kubernetes.Sources(version, tuple(PINS.get((int(major), int(minor)), {}).items()))


# Of which sources pause and agnhost are made, for all releases: several have an image of the same name.
IMAGES_OF = "1.20.15"
# Newest release of a minor -> the nearest that is published as a module, and whose own modules go together: the last
# k8s.io/controller-manager of 1.25 is 0.25.6, and k8s.io/apiserver has changed what it calls since.
NEAREST = {"1.25.16": "1.25.6", "1.29.15": "1.29.6", "1.34.11": "1.34.4", "1.35.9": "1.35.4", "1.36.4": "1.36.3"}


def as_module(version: str) -> str:
    """Of the same minor: this release of Kubernetes, or the nearest that can be built."""
    return NEAREST.get(version, version)


def etcd_version(release: Release) -> str:
    """The catalogue's, but for the minor that is no Go module."""
    return etcd.VERSION if release.etcd.startswith("3.4.") else release.etcd


def builds(release: Release, arch: str = OWN) -> dict[str, Build]:
    """
    Path -> build of all that goes with a release, for machines of an architecture, in the order in which they begin.

    The longest first; agnhost last, as it is compiled from what Kubernetes was.
    """
    of, of_images = sources(release.kubernetes), sources(IMAGES_OF)
    etcd_of, compiler = etcd_version(release), ARCHITECTURES[arch].compiler
    pause = partial(kubernetes.build_pause, of_images, release.pause_image)

    def archive(name: str, version: str, recipe: Recipe, minutes: float, packages: tuple[str, ...] = ()) -> Build:
        return Build(artifact(name, version, arch).path, recipe, minutes, packages, arch)

    def image(reference: str, recipe: Recipe, minutes: float, packages: tuple[str, ...] = ()) -> Build:
        return Build(image_path(reference, arch), recipe, minutes, packages, arch)

    found = (
        archive("kubernetes", release.kubernetes, partial(kubernetes.build_tarball, of), 6),
        archive("etcd", etcd_of, *_etcd(etcd_of)),
        archive("cni-plugins", release.cni_plugins, partial(cni.build_archive, release.cni_plugins), 0.5),
        archive("containerd", release.containerd, partial(containerd.build_archive, release.containerd), 1),
        archive("runc", release.runc, partial(runc.build_program, release.runc), 0.5, (*compiler, *runc.PACKAGES)),
        *(archive("crictl", one, partial(crictl.build_archive, one), 1) for one in CRICTL if one == release.crictl),
        image(release.pause_image, pause, 0.1, compiler),
        image(flannel.FLANNEL, flannel.build_image, 1),
        image(flannel.CNI_PLUGIN, flannel.build_cni_plugin_image, 0.2),
        image(release.coredns_image, partial(coredns.build_image, release.coredns_image), 1.5),
        image(release.metrics_server_image, partial(metrics_server.build_image, release.metrics_server_image), 1.5),
        image(release.verify_image, partial(kubernetes.build_agnhost, of_images, release.verify_image), 0.5),
    )
    return {build.path: build for build in found}


def _etcd(version: str) -> tuple[Recipe, float]:
    """How this version is made, and in how many minutes."""
    if version == etcd.VERSION:
        return etcd.build_tarball, 0.2
    return partial(etcd_modules.build_tarball, version), 1
