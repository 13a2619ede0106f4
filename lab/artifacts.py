"""Binaries and images for the lab's deploy: upstream's as for everybody, or built here where that is out of reach."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kubeinfra.artifacts.images import image_path
from kubeinfra.artifacts.store import Store
from kubeinfra.cluster.cluster import Cluster
from kubeinfra.releases import catalogue as releases
from lab.build import build, stack
from lab.build.architecture import OWN
from lab.build.base import Build
from lab.console import Phase

CACHE = Path("~/.cache/kubeinfra").expanduser()
BUILT = CACHE / "built"
REACH_SECONDS = 3.0


def provide(phase: Phase, cluster: Cluster) -> dict[str, str]:
    """
    Build what the release needs if it can be had in no other way: path below BUILT -> "sha256:<hex>".

    They become the setting `own_builds`; `kubeinfra/artifacts/store.py` shows them as `(built)`.

    Empty where upstream (or its mirror) answers, or where somebody has filled `artifacts_dir`.
    """
    if cluster.settings.artifacts_dir:
        phase.result = f"from artifacts_dir, {cluster.settings.artifacts_dir}"
        return {}
    if _upstream_answers(cluster):
        phase.result = "upstream can be reached"
        return {}
    phase.note("upstream cannot be reached: building from Go modules and Debian packages")
    built = build(wanted(cluster), BUILT, CACHE / "build-work", phase.console)
    phase.result = f"{len(built)} built here, in {BUILT}"
    return built


def wanted(cluster: Cluster) -> list[Build]:
    """What this cluster needs of all that goes with its release."""
    unused = [] if cluster.container_runtime == "containerd" else ["containerd/", "runc/", "crictl/"]
    if not cluster.metrics_server:
        unused.append(image_path(cluster.release.metrics_server_image, OWN))
    return [one for path, one in stack.builds(cluster.release).items() if not path.startswith(tuple(unused))]


def _upstream_answers(cluster: Cluster) -> bool:
    settings = cluster.settings
    kubernetes = releases.artifact("kubernetes", settings.kubernetes_version, "amd64")
    with tempfile.TemporaryDirectory() as nothing:
        return Store(Path(nothing), mirror=settings.artifact_mirror).reachable(kubernetes, REACH_SECONDS)
