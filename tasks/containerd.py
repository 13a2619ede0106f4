"""containerd: its programs or packages, and configuration; restarted on max_unavailable nodes at a time."""

from __future__ import annotations

from dataclasses import replace

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.components.base import Component, Here
from kubeinfra.components.runtime import containerd as component
from kubeinfra.components.runtime import docker_repository
from kubeinfra.operations.docker_repository import from_docker
from kubeinfra.operations.files import install
from kubeinfra.operations.system import note, packages
from kubeinfra.operations.units import converge, start
from kubeinfra.run.hosts import is_deploy_file
from kubeinfra.run.inventory import cluster, refuse
from kubeinfra.run.seen import here, seen_again
from tasks.artifacts import bring
from tasks.preflight import preflight


@deploy("containerd")
def containerd() -> None:
    """The container runtime of the nodes."""
    if "node" not in host.groups or cluster().container_runtime != component.NAME:
        return
    runtime = component.Containerd(cluster().settings.containerd_source)
    if runtime.source != "upstream":
        _packages()
    install(name="files", describe=_described)
    start(name="start", units=[runtime.unit])
    # Containers go on while it restarts, so no pod and no other node need be waited for; but if it does not come back
    # on one node, it is not restarted on the others.
    converge(
        name="containerd runs",
        units=[runtime.unit],
        healthy=runtime.ready,
        at_once=cluster().max_unavailable,
        returns_to=component.CONFIG,
    )


def _packages() -> None:
    """An installed containerd stays, whoever installed it; preflight has rejected one that does not fit."""
    platform, settings = here().platform, cluster().settings
    found = here().seen.runtimes.get(component.NAME)
    if found:
        note(f"containerd {found.release} is there and stays ({found.package or 'from no package'})")
    elif settings.containerd_source == "distribution":
        packages(name="packages", names=platform.containerd, family=platform.family)
    else:
        for file in docker_repository.used(settings, platform, here().seen):
            note(f"Docker's repository is in {file} already, which is used")
        install(name="repository", describe=docker_repository.describe)
        from_docker(
            name="packages",
            packages=component.ce_packages(cluster()),
            repository=docker_repository.base(settings, platform),
            family=platform.family,
        )


def _described(now: Here) -> Component:
    """Of a package that this run has installed it is known by now of which release it is, and whether that fits."""
    runtime = component.Containerd(cluster().settings.containerd_source)
    if runtime.source != "upstream" and component.NAME not in now.seen.runtimes:
        now = replace(now, seen=seen_again())
        refuse(runtime.findings(now.cluster, now.machine, now.seen))
    return runtime.describe(now)


if is_deploy_file(__file__):
    preflight()
    bring(["container runtime"])
    containerd()
