"""Docker as the guide has it: systemd cgroups, rotated logs, registry mirrors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from shlex import join
from typing import Any

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.cluster.registries import DOCKER_HUB, by_registry
from kubeinfra.cluster.settings import Settings
from kubeinfra.components.base import Component, Here, Needed, Probe, Unit
from kubeinfra.components.platforms import Platform
from kubeinfra.components.runtime import docker_repository, proxy
from kubeinfra.components.runtime.base import told, without_ftype
from kubeinfra.components.runtime.docker_repository import Packages
from kubeinfra.errors import KubeinfraError
from kubeinfra.findings import EXPLAINED, Finding
from kubeinfra.machine.render import template
from kubeinfra.machine.state import MachineState
from kubeinfra.machine.wanted import Edit, File
from kubeinfra.paths import CNI_BIN, CNI_CONF, UNITS

UNIT = Unit("docker.service")
DAEMON_JSON = "/etc/docker/daemon.json"
APT_PREFERENCES = "/etc/apt/preferences.d/kubeinfra-docker"
_CGROUPS = "[ \"$(docker info --format '{{.CgroupDriver}}')\" = systemd ]"

# From 23.0 on Docker can say whether it knows the keys of a file. What it does not say (26.1 finds a mirror without
# https:// in order) its restart shows, and the old file comes back: `converge`, returns_to.
VALID = (
    "! dockerd=$(command -v dockerd) || ! $dockerd --help | grep -q -e --validate || "
    "$dockerd --validate --config-file {new}"
)
# Properties of Docker's unit, and its environment files if its command line has variables.
_UNIT_SHOWN = (
    f"unit=$(systemctl show {UNIT.name} -p ExecStart -p Environment -p EnvironmentFiles 2>/dev/null); "
    "files=$(echo \"$unit\" | sed -n 's/^EnvironmentFiles*=\\([^ ]*\\) .*/\\1/p'); "
    'case $unit in *"\\$"*) for file in $files; do unit="$unit $(grep -v \'^ *#\' "$file" 2>/dev/null)"; done ;; esac; '
    # Only what looks like a flag: an environment may have passwords.
    'flags=$(echo "$unit" | grep -oE -e \'(^|[[:space:]"=])--?[A-Za-z][a-z0-9-]*\'); '
    'echo "docker-unit=$(echo "$flags" | base64 -w0)"'
)
# In use, by pods or for something else: it has, or had, containers, or networks other than its own three.
_USED = (
    # Only one that runs is asked: its socket would start it.
    'asks() { systemctl --quiet is-active docker.service 2>/dev/null && timeout 20 docker "$@" --quiet 2>/dev/null; }; '
    f'if [ -e {UNITS}/kubelet.service ] || [ -n "$(ls -A /var/lib/docker/containers 2>/dev/null)" ] || '
    '[ -n "$(asks ps --all)" ] || [ -n "$(asks network ls --filter type=custom)" ]; then echo docker-used=yes; fi'
)

READY = Probe("docker info says that cgroups are systemd's", _CGROUPS, 60, "docker")


_error = partial(Finding, "container runtime", level="error")


@dataclass(frozen=True)
class Docker:
    """Kubernetes up to 1.23 uses it through dockershim."""

    name: str = "docker"
    unit: Unit = UNIT
    ready: Probe = READY
    owns: tuple[str, ...] = (
        UNIT.drop_in,
        APT_PREFERENCES,
        *docker_repository.FILES,
        proxy.path(UNIT),
    )
    data: str = "/var/lib/docker"
    cgroups: tuple[str, ...] = ("docker-", "/docker/")
    version: str = told(
        "docker", "command -v dockerd", "\"$program\" --version | tr -dc '0-9. '", f"{_UNIT_SHOWN}; {_USED}"
    )

    def binaries(self, cluster: Cluster, arch: str) -> tuple[Needed, ...]:
        return ()

    def describe(self, here: Here) -> Component:
        settings, name, found = here.settings, here.machine.name, here.seen.runtimes.get(self.name)
        bridge = not (found and (found.used or _OF_BRIDGE & {*found.flags}))
        environment = proxy.environment_files(UNIT, settings)
        drop_in = template(
            "inputs.conf.j2", unit=UNIT.name, inputs=[DAEMON_JSON, *environment], environment_files=environment
        )
        return Component(
            (
                Edit(
                    DAEMON_JSON,
                    lambda text: daemon_json(text, settings, name, bridge),
                    shown=lambda text: our_part(text, settings, name),
                    check=VALID,
                    keep_for=UNIT.name,
                ),
                File(UNIT.drop_in, drop_in),
                proxy.file(UNIT, settings),
            )
        )

    def findings(self, cluster: Cluster, machine: Machine, seen: MachineState) -> Iterator[Finding]:
        settings, below, found = cluster.settings, cluster.release.docker_below, seen.runtimes.get(self.name)
        if found and found.version and below is not None and found.version[0] >= below:
            yield _error(
                machine=machine.name,
                found=f"Docker {found.version[0]} is installed",
                wanted=f"Kubernetes {settings.kubernetes_version} needs one below {below}",
                remedy="remove it, and the deploy installs one that fits, or put an older one in its place",
                joints=EXPLAINED,
            )
        ours = {*our_keys(settings)} & {*(found.flags if found else ())}
        if ours:
            yield _error(
                machine=machine.name,
                found=f"Docker's command line has {', '.join(sorted(ours))}",
                wanted=f"{DAEMON_JSON} would have it too, and Docker does not start with both",
                remedy="take it out of the command line (`systemctl cat docker` shows the files), and say what you "
                "want of it in docker_extra_config",
                joints=EXPLAINED,
            )
        elsewhere = {"data-root", "storage-driver"} & settings.docker_extra_config.keys()
        if self.data in seen.software.without_ftype and not elsewhere:
            yield without_ftype(
                machine,
                self.data,
                "Docker's overlay2",
                'docker_extra_config = {"data-root": "/data/docker"}, or another "storage-driver" there',
            )

    def packages_findings(
        self, cluster: Cluster, machine: Machine, seen: MachineState, platform: Platform
    ) -> Iterator[Finding]:
        settings = cluster.settings
        if settings.docker_source == "distribution" and not platform.docker:
            yield _error(
                machine=machine.name,
                found="RHEL-likes have no Docker of their own, their package docker is Podman",
                remedy='set docker_source = "docker-ce" in group_data/all.py, and docker_repository to a mirror that '
                "the machine reaches",
            )
        if settings.docker_source == "docker-ce":
            yield from docker_repository.named_twice(settings, machine.name, seen, platform)
            if self.name not in seen.runtimes:
                of_its_own = 'docker_source = "distribution"' if platform.docker else ""
                yield from docker_repository.conflicts(machine.name, seen, platform, "a Docker", of_its_own)

    def kubelet_flags(self, cluster: Cluster) -> dict[str, str]:
        return {
            "cni-bin-dir": CNI_BIN,
            "cni-conf-dir": CNI_CONF,
            "network-plugin": "cni",
            "pod-infra-container-image": cluster.pause_image,
        }

    def kubelet_configuration(self, cluster: Cluster) -> dict[str, Any]:
        return {}

    def image_ids(self, references: Iterable[str]) -> str:
        # A missing image is an answer, and so is a missing Docker.
        return (
            f"for image in {join(references)}; do "
            'timeout 20 docker image inspect --format "$image {{.Id}}" "$image" 2>/dev/null; done; exit 0'
        )

    def load_images(self, tars: Sequence[str]) -> str:
        return f'for tar in {join(tars)}; do docker load --quiet -i "$tar"; rm "$tar"; done'

    def restart_containers(self, names: Iterable[str]) -> str:
        return (
            f"for name in {join(names)}; do "
            'docker ps --quiet --filter "label=io.kubernetes.container.name=$name" | '
            "xargs -r docker restart >/dev/null; done"
        )


def ce_packages(cluster: Cluster) -> Packages:
    """Of Docker's repository."""
    below = cluster.release.docker_below
    assert below is not None, "the settings are refused where the release cannot use Docker"
    return Packages(
        names=("docker-ce", "docker-ce-cli"),
        others=("containerd.io",),
        version=cluster.settings.docker_version,
        below=(below,),
        choice="docker_version may be the beginning of one of:",
        preferences=APT_PREFERENCES,
    )


def given_flags(unit: str) -> tuple[str, ...]:
    """
    The keys of daemon.json that Docker's command line has, in the order of the alphabet.

    + unit: properties of docker.service as `systemctl show` prints them, and the lines of its environment files
    """
    found = re.findall(r"""(?:^|[\s"'=])(?:--([a-z][a-z0-9-]*)|-([A-Za-z])(?=[\s="']))""", unit, re.MULTILINE)
    return tuple(sorted({_SHORT.get(short, short) if short else _KEYS.get(flag, flag) for flag, short in found}))


# Where flag and key differ: https://docs.docker.com/reference/cli/dockerd/
_SHORT = {"H": "hosts", "b": "bridge", "D": "debug", "g": "data-root", "G": "group", "l": "log-level"}
_SHORT |= {"p": "pidfile", "s": "storage-driver"}
_KEYS = {flag: f"{flag}s" for flag in ("log-opt", "exec-opt", "storage-opt", "registry-mirror", "host", "label")}
_KEYS |= {"insecure-registry": "insecure-registries", "graph": "data-root", "dns-opt": "dns-opts"}


def our_keys(settings: Settings) -> dict[str, Any]:
    """The keys of daemon.json that the deploy sets."""
    return {
        "exec-opts": ["native.cgroupdriver=systemd"],
        "log-driver": "json-file",
        "log-opts": {
            "max-size": settings.container_log_max_size,
            "max-file": str(settings.container_log_max_files),
        },
        **({} if settings.registry_mirrors is None else {"registry-mirrors": _mirrors(settings)}),
        **settings.docker_extra_config,
    }


def _mirrors(settings: Settings) -> list[str]:
    """Docker knows mirrors of Docker Hub only; others are refused (`docker_mirrors_docker_hub_only`)."""
    return [one.url for one in by_registry(settings.registry_mirrors).get(DOCKER_HUB, [])]


def our_part(text: str, settings: Settings, machine: str) -> str:
    """The part that a diff may show: not proxies, which often have a password in the URL, and no keys of others."""
    shown = our_keys(settings).keys() - {"proxies"} | {"bridge"}
    return _json({key: value for key, value in _read(text, machine).items() if key in shown})


def daemon_json(text: str, settings: Settings, machine: str, bridge: bool = False) -> str:
    """
    The file with our keys; other keys are kept.

    + bridge: whether Docker needs no bridge of its own, docker0, which takes a network such as 172.17.0.0/16: pods are
      on flannel's

    KubeinfraError, naming the machine, if the text is no JSON object.
    """
    present, ours = _read(text, machine), our_keys(settings)
    without = {"bridge": "none"} if bridge and not _OF_BRIDGE & {*present, *ours} else {}
    return _json({**present, **without, **ours})


_OF_BRIDGE = {"bridge", "bip", "bip6", "fixed-cidr", "fixed-cidr-v6", "default-gateway"}


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _read(text: str, machine: str) -> dict[str, Any]:
    try:
        present = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise KubeinfraError(f"{machine}: {DAEMON_JSON} is not JSON ({error}); correct it, or remove it") from error
    if not isinstance(present, dict):
        raise KubeinfraError(f"{machine}: {DAEMON_JSON} is not a JSON object; correct it, or remove it")
    return present
