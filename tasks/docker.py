"""Docker as the guide has it: systemd cgroups, rotated logs, registry mirrors."""

from __future__ import annotations

import json
from typing import Any

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.components.flags import KUBELET_CLIENT_PEM
from kubeinfra.errors import KubeinfraError
from kubeinfra.health.questions import as_node
from kubeinfra.machine.render import template
from kubeinfra.machine.wanted import Edit, File
from kubeinfra.operations.docker import docker_ce
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import Probe
from kubeinfra.operations.rolling import one_at_a_time
from kubeinfra.operations.system import note, packages
from kubeinfra.operations.units import Unit, converge, start
from kubeinfra.run.hosts import is_deploy_file, this_machine
from kubeinfra.run.inventory import cluster
from tasks.preflight import machine_state, preflight

UNIT = Unit("docker.service")
DAEMON_JSON = "/etc/docker/daemon.json"
_ASKED = "[ \"$(docker info --format '{{.CgroupDriver}}')\" = systemd ]"
# Its containers end with Docker, unless docker_extra_config has live-restore: then nothing is to be waited for.
NETWORK = Probe("flannel, and with it the pods' network, is back", "pgrep -x flanneld", 120, "kubelet")
_UNREADY = """tr -d ' \\n' | grep -qE '"type":"Ready","status":"(False|Unknown)"'"""
USES_SYSTEMD = Probe("docker info says that cgroups are systemd's", _ASKED, 60, "docker")


@deploy("docker")
def docker() -> None:
    """The container runtime of the nodes."""
    if "node" not in host.groups:
        return
    machine, settings = machine_state(), cluster().settings
    package = "docker.io" if settings.docker_source == "distribution" else "docker-ce"
    if machine.docker_major is not None and machine.docker_package != package:
        note(f"Docker {machine.docker_major} is there and stays ({machine.docker_package or 'from no package'})")
    elif package == "docker.io":
        packages([package], machine.family, name="packages")
    else:
        below = cluster().release.docker_below
        docker_ce(settings.docker_repository, settings.docker_version, below, machine, name="packages")
    install(
        [
            Edit(DAEMON_JSON, daemon_json, ours=our_part),
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
        lambda: converge(
            [UNIT],
            healthy=USES_SYSTEMD,
            guard=others_ready(),
            recovers=[NETWORK, pods_ready()],
            name=f"docker runs on {host.name}",
        ),
    )


def others_ready() -> Probe:
    """Before a node's pods end with its Docker the others must be there; one that is not Ready serves nobody."""
    here = this_machine().node_name
    unready = _some_unready(f"nodes?fieldSelector=metadata.name%3D{here}")
    others = _all_ready(f"nodes?fieldSelector=metadata.name!%3D{here}")
    without_cluster = f"[ ! -s {KUBELET_CLIENT_PEM} ]"
    return Probe(
        "the other nodes are Ready (kubectl get nodes)",
        f"{without_cluster} || {{ {unready}; }} || {{ {others}; }}",
        60,
    )


def pods_ready() -> Probe:
    """The next node waits for this one's pods; not where some pod of it was not ready before."""
    here = _all_ready(f"pods?fieldSelector=spec.nodeName%3D{this_machine().node_name},status.phase%3DRunning")
    return Probe("the pods of this node are ready again", f"[ -s {KUBELET_CLIENT_PEM} ] && {here}", 120, "kubelet")


def _all_ready(path: str) -> str:
    """Shell that succeeds where none of these nodes or pods has a condition Ready that is not True."""
    return f'found=$({as_node(f"/api/v1/{path}")}) && ! echo "$found" | {_UNREADY}'


def _some_unready(path: str) -> str:
    """Shell that succeeds where the API answers, and one of these has a condition Ready that is not True."""
    return f'found=$({as_node(f"/api/v1/{path}")}) && echo "$found" | {_UNREADY}'


def our_keys() -> dict[str, Any]:
    settings = cluster().settings
    return {
        "exec-opts": ["native.cgroupdriver=systemd"],
        "log-driver": "json-file",
        "log-opts": {
            "max-size": settings.docker_log_max_size,
            "max-file": str(settings.docker_log_max_files),
        },
        **({} if settings.registry_mirrors is None else {"registry-mirrors": settings.registry_mirrors}),
        **settings.docker_extra_config,
    }


def our_part(text: str) -> str:
    """What a diff may show of it: proxies often have a password in their address, and so may what others wrote."""
    shown = our_keys().keys() - {"proxies"}
    return _json({key: value for key, value in _read(text).items() if key in shown})


def daemon_json(text: str) -> str:
    """Our keys of daemon.json; those that others wrote are kept."""
    return _json({**_read(text), **our_keys()})


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _read(text: str) -> dict[str, Any]:
    try:
        present = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise KubeinfraError(f"{host.name}: {DAEMON_JSON} is not JSON ({error}); mend it, or remove it") from error
    if not isinstance(present, dict):
        raise KubeinfraError(f"{host.name}: {DAEMON_JSON} is not a JSON object; mend it, or remove it")
    return present


if is_deploy_file(__file__):
    preflight()
    docker()
