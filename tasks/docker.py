"""Docker as the guide has it: packages and configuration; restarted on max_unavailable nodes at a time."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.components import network, node
from kubeinfra.components.runtime import docker as component
from kubeinfra.components.runtime import docker_repository
from kubeinfra.operations.docker_repository import from_docker
from kubeinfra.operations.files import install
from kubeinfra.operations.system import note, packages
from kubeinfra.operations.units import converge, start
from kubeinfra.run.hosts import is_deploy_file, this_machine
from kubeinfra.run.inventory import cluster
from kubeinfra.run.seen import here
from tasks.preflight import preflight

RUNTIME = component.Docker()


@deploy("docker")
def docker() -> None:
    """The container runtime of the nodes."""
    if "node" in host.groups and cluster().container_runtime == RUNTIME.name:
        _packages()
        install(name="files", describe=RUNTIME.describe)
        start(name="start", units=[RUNTIME.unit])
        _converge()


def _packages() -> None:
    """An installed Docker stays, whoever installed it; preflight has rejected one that is too new."""
    seen, settings, platform = here().seen, cluster().settings, here().platform
    own = component.ce_packages(cluster())
    names = own.names if settings.docker_source == "docker-ce" else platform.docker
    found = seen.runtimes.get(RUNTIME.name)
    if found and found.version and found.package != names[0]:
        note(f"Docker {found.version[0]} is there and stays ({found.package or 'from no package'})")
    elif settings.docker_source == "distribution":
        packages(name="packages", names=names, family=platform.family)
    else:
        for file in docker_repository.used(settings, platform, seen):
            note(f"Docker's repository is in {file} already, which is used")
        install(name="repository", describe=docker_repository.describe)
        from_docker(
            name="packages",
            packages=own,
            repository=docker_repository.base(settings, platform),
            family=platform.family,
        )


def _converge() -> None:
    machine = this_machine()
    converge(
        name="docker runs",
        units=[RUNTIME.unit],
        healthy=RUNTIME.ready,
        guard=node.other_nodes_ready(machine, but=cluster().max_unavailable - 1),
        # Its containers end with it, unless docker_extra_config has live-restore: then there is nothing to wait for.
        recovers=[network.BACK, node.pods_ready(machine)],
        at_once=cluster().max_unavailable,
        returns_to=component.DAEMON_JSON,
    )


if is_deploy_file(__file__):
    preflight()
    docker()
