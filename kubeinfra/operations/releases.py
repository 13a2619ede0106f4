"""Releases on the controller: fetched once, before anything changes on any machine."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from pyinfra import host, state
from pyinfra.api import StringCommand, operation

from kubeinfra.components.artifacts_needed import needed, node_images
from kubeinfra.releases.catalogue import Artifact
from kubeinfra.run.controller import store
from kubeinfra.run.inventory import as_pyinfra_error, cluster
from kubeinfra.run.plan import announce
from kubeinfra.run.seen import arch_of


@operation()
def fetch(components: Sequence[str]) -> Generator[StringCommand, None, None]:
    """
    Have what the machines of the cluster need at hand; an archive that cannot be had ends the run, and so does an
    image's tar file that is not what it should be.

    + components: names of `kubeinfra.components.artifacts_needed.COMPONENTS`
    """
    # Here and not in the task: the architectures are known once preflight has seen all machines.
    with as_pyinfra_error():
        if state.is_executing:
            store().fetch_all(_artifacts(components))
            for reference, arch in _images(components):
                store().image(reference, arch)
        else:
            for artifact in _artifacts(components):
                _announce(artifact)
    host.noop("releases are at hand")
    return
    yield


def _artifacts(components: Sequence[str]) -> list[Artifact]:
    found = {
        need.artifact
        for machine in cluster().machines
        for need in needed(cluster(), machine, arch_of(machine), components)
    }
    return sorted(found, key=lambda one: one.path)


def _images(components: Sequence[str]) -> list[tuple[str, str]]:
    """Images that the nodes should have, and each for which architecture."""
    arches = {arch_of(node) for node in cluster().nodes}
    return [(image, arch) for arch in sorted(arches) for image in node_images(cluster()) if "node" in components]


def _announce(artifact: Artifact) -> None:
    first, *others = store().wanted(artifact)
    if any(wanted.sha256 is None for wanted in (first, *others)):
        announce(f"fetch {artifact.name} {first.version} ({first.archive})")
