"""Docker as the guide has it: systemd cgroups, rotated logs, registry mirrors."""

from __future__ import annotations

import json
from typing import Any

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.errors import KubeinfraError
from kubeinfra.flags import KUBELET_CLIENT_PEM
from kubeinfra.health import as_node
from kubeinfra.inventory import cluster
from kubeinfra.operations.docker import docker_ce
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import Probe
from kubeinfra.operations.rolling import one_at_a_time
from kubeinfra.operations.system import packages
from kubeinfra.operations.units import Unit, settle, start
from kubeinfra.render import template
from kubeinfra.tasks import is_deploy_file, this_machine
from kubeinfra.wanted import Edit, File
from tasks.preflight import machine_state, preflight

UNIT = Unit("docker.service")
DAEMON_JSON = "/etc/docker/daemon.json"
_ASKED = "[ \"$(docker info --format '{{.CgroupDriver}}')\" = systemd ]"
# Its containers end with Docker, unless docker_extra_config has live-restore: then nothing is to be waited for.
NETWORK = Probe("flannel, and with it the pods' network, is back", "pgrep -x flanneld", 120, "kubelet")
USES_SYSTEMD = Probe("docker info says that cgroups are systemd's", _ASKED, 60, "docker")


@deploy("docker")
def docker() -> None:
    """The container runtime of the nodes."""
    if "node" not in host.groups:
        return
    machine, settings = machine_state(), cluster().settings
    if settings.docker_source == "distribution":
        packages(["docker.io" if machine.family == "debian" else "docker"], machine.family, name="packages")
    else:
        below = cluster().release.docker_below
        docker_ce(settings.docker_repository, settings.docker_version, below, machine, name="packages")
    install(
        [
            Edit(DAEMON_JSON, daemon_json),
            File(
                "/etc/systemd/system/docker.service.d/kubeinfra.conf",
                template("inputs.conf.j2", unit=UNIT.name, inputs=[DAEMON_JSON]),
            ),
        ],
        name="files",
    )
    start([UNIT], name="start")
    one_at_a_time(
        cluster().nodes,
        lambda: settle(
            [UNIT],
            healthy=USES_SYSTEMD,
            guard=others_ready(),
            recovers=[NETWORK, pods_ready()],
            name=f"docker runs on {host.name}",
        ),
    )


def others_ready() -> Probe:
    """Before a node's pods end with its Docker the others must be there to serve; nothing to ask without a cluster."""
    others = _all_ready(f"nodes?fieldSelector=metadata.name!%3D{this_machine().node_name}")
    return Probe(
        "the other nodes are Ready (kubectl get nodes)", f"[ ! -s {KUBELET_CLIENT_PEM} ] || {{ {others}; }}", 60
    )


def pods_ready() -> Probe:
    """Pods that run here and are not ready keep the next node waiting; what was not ready before does not."""
    here = _all_ready(f"pods?fieldSelector=spec.nodeName%3D{this_machine().node_name},status.phase%3DRunning")
    return Probe("the pods of this node are ready again", f"[ -s {KUBELET_CLIENT_PEM} ] && {here}", 120, "kubelet")


def _all_ready(path: str) -> str:
    """Shell that succeeds where none of these nodes or pods has a condition Ready that is not True."""
    unready = """tr -d ' \\n' | grep -qE '"type":"Ready","status":"(False|Unknown)"'"""
    return f'found=$({as_node(cluster(), f"/api/v1/{path}")}) && ! echo "$found" | {unready}'


def daemon_json(text: str) -> str:
    """Our keys of daemon.json; those that others wrote are kept."""
    settings = cluster().settings
    ours: dict[str, Any] = {
        "exec-opts": ["native.cgroupdriver=systemd"],
        "log-driver": "json-file",
        "log-opts": {
            "max-size": settings.docker_log_max_size,
            "max-file": str(settings.docker_log_max_files),
        },
        **({} if settings.registry_mirrors is None else {"registry-mirrors": settings.registry_mirrors}),
        **settings.docker_extra_config,
    }
    try:
        present = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise KubeinfraError(f"{host.name}: {DAEMON_JSON} is not JSON ({error}); mend it, or remove it") from error
    if not isinstance(present, dict):
        raise KubeinfraError(f"{host.name}: {DAEMON_JSON} is not a JSON object; mend it, or remove it")
    return json.dumps({**present, **ours}, indent=2, sort_keys=True) + "\n"


if is_deploy_file(__file__):
    preflight()
    docker()
