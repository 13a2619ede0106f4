"""containerd: upstream's static programs with a unit of ours, or a package with its own unit; systemd cgroups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from shlex import join, quote
from typing import Any, Literal

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.base import Component, Here, Needed, Probe, Unit
from kubeinfra.components.platforms import Platform
from kubeinfra.components.runtime import containerd_hosts, docker_repository, proxy
from kubeinfra.components.runtime.base import leading_numbers, told, without_ftype
from kubeinfra.components.runtime.containerd_config import CERTS_D, CONFIG, config_toml, shown
from kubeinfra.components.runtime.docker_repository import Packages
from kubeinfra.findings import EXPLAINED, Finding
from kubeinfra.machine.render import template
from kubeinfra.machine.state import InstalledRuntime, MachineState
from kubeinfra.machine.wanted import Edit, File, Link, Wanted
from kubeinfra.paths import CONTAINERD_BIN, LINKS, UNITS
from kubeinfra.releases.catalogue import artifact
from kubeinfra.releases.lifetimes import known
from kubeinfra.releases.versions import written

NAME = "containerd"
UNIT_NAME = f"{NAME}.service"
PROGRAM = f"{CONTAINERD_BIN}/{NAME}"
ENDPOINT = "unix:///run/containerd/containerd.sock"
CRICTL_YAML = "/etc/crictl.yaml"
CE_PACKAGE = "containerd.io"
APT_PREFERENCES = "/etc/apt/preferences.d/kubeinfra-containerd"
# A shim that comes first in PATH is used, of whatever release (Debian's docker.io brings one).
_PATH = f"{CONTAINERD_BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CTR = f"PATH={_PATH}; "
_KUBERNETES = "ctr --namespace k8s.io"

READY = Probe(
    "containerd serves kubelets (its CRI plugin is loaded)",
    f"{_CTR}ctr plugins ls 2>/dev/null | "
    'awk \'$1 == "io.containerd.grpc.v1" && $2 == "cri" && $NF == "ok" {found = 1} END {exit !found}\'',
    60,
    NAME,
)
# Shims keep the state of what runs below; containers of Docker, which has its own list of them, too.
_USED = (
    "for task in /run/containerd/io.containerd.runtime.v*.task/*/*; do "
    'if [ -d "$task" ]; then echo containerd-used=yes; break; fi; done'
)
_MIRRORS = (
    f"echo \"containerd-mirrors=$(grep -ls '^{containerd_hosts.MARK.strip()}' {CERTS_D}/*/hosts.toml | tr '\\n' ' ')\""
)
_VERSION = '"$program" --version | awk \'{sub(/^v/, "", $3); print $3}\''
# Ours as soon as its unit is.
_PROGRAM = f"if grep -qs {PROGRAM} {UNITS}/{UNIT_NAME}; then echo {PROGRAM}; else command -v containerd; fi"

_error = partial(Finding, "container runtime", level="error")


@dataclass(frozen=True)
class Containerd:
    """The runtime of Kubernetes from 1.24 on; older kubelets speak to containerd 1 only."""

    source: Literal["upstream", "docker-ce", "distribution"] = "upstream"
    name: str = NAME
    ready: Probe = READY
    data: str = "/var/lib/containerd"
    cgroups: tuple[str, ...] = ("cri-containerd",)
    version: str = told(
        NAME, _PROGRAM, '"$program" --version | awk \'{sub(/^v/, "", $3); print $3}\'', f"{_USED}; {_MIRRORS}"
    )

    @property
    def unit(self) -> Unit:
        return Unit(UNIT_NAME, PROGRAM if self.source == "upstream" else "")

    @property
    def owns(self) -> tuple[str, ...]:
        return (
            CONTAINERD_BIN.rpartition("/")[0],
            *(f"{LINKS}/{name}" for name in ("crictl", "ctr")),
            self.unit.file,
            self.unit.drop_in,
            proxy.path(self.unit),
            CONFIG,
            CERTS_D,
            CRICTL_YAML,
            APT_PREFERENCES,
            *docker_repository.FILES,
        )

    def binaries(self, cluster: Cluster, arch: str) -> tuple[Needed, ...]:
        release, settings = cluster.release, cluster.settings
        own = (artifact(NAME, cluster.containerd_version, arch), artifact("runc", release.runc, arch))
        crictl = (artifact("crictl", release.crictl, arch),)
        wanted = (*(own if self.source == "upstream" else ()), *(crictl if settings.crictl else ()))
        return tuple(Needed(one, CONTAINERD_BIN) for one in wanted)

    def describe(self, here: Here) -> Component:
        text = config_toml(here.cluster, self.release(here.cluster, here.seen), here.seen.kernel)
        found = here.seen.runtimes.get(NAME)
        files = (
            Edit(
                CONFIG,
                lambda _: text,
                shown=lambda present: shown(present, text),
                check=_accepted(self.release(here.cluster, here.seen)),
                keep_for=UNIT_NAME,
            ),
            *containerd_hosts.files(here.settings, found.mirrors if found else ()),
            proxy.file(self.unit, here.settings),
            *self._unit_files(here),
            *_tools(here, self.source == "upstream"),
        )
        return Component(files, binaries=self.binaries(here.cluster, here.seen.arch))

    def release(self, cluster: Cluster, seen: MachineState) -> tuple[int, ...]:
        """Of the containerd that the machine has or gets; of a package that is not there yet, as the release has it."""
        found = seen.runtimes.get(NAME)
        if self.source != "upstream" and found and found.version:
            return found.version
        return leading_numbers(cluster.containerd_version)

    def _unit_files(self, here: Here) -> list[Wanted]:
        environment = proxy.environment_files(self.unit, here.settings)
        inputs = [CONFIG, *environment]
        if self.source != "upstream":
            text = template("inputs.conf.j2", unit=UNIT_NAME, inputs=inputs, environment_files=environment)
            return [File(self.unit.drop_in, text)]
        text = template(
            "component.service.j2",
            description="containerd container runtime",
            documentation="https://containerd.io/docs/",
            service_lines=[
                *service_lines(self.release(here.cluster, here.seen), here.seen.systemd),
                *(f"EnvironmentFile={file}" for file in environment),
            ],
            unit=UNIT_NAME,
            inputs=[self.unit.file, *inputs],
            binary=PROGRAM,
            flags={"config": CONFIG},
        )
        return [File(self.unit.file, text)]

    def findings(self, cluster: Cluster, machine: Machine, seen: MachineState) -> Iterator[Finding]:
        found = seen.runtimes.get(NAME)
        if found and (found.path == PROGRAM) is not (self.source == "upstream"):
            yield from self._another(machine, seen, found)
        elif found and self.source != "upstream":
            yield from _of_another_release(cluster, machine, found)
        further = cluster.settings.containerd_extra_config
        if self.data in seen.software.without_ftype and "root" not in further:
            yield without_ftype(
                machine, self.data, "containerd's overlayfs", 'containerd_extra_config = {"root": "/data/containerd"}'
            )

    def _another(self, machine: Machine, seen: MachineState, found: InstalledRuntime) -> Iterator[Finding]:
        """One that is not from where the setting has it: its unit has the same name."""
        docker = seen.runtimes.get("docker")
        if self.source != "upstream":
            yield _error(
                machine=machine.name,
                found=f"containerd {found.release} of containerd_source upstream runs its pods",
                wanted=f"containerd_source is {self.source}",
                remedy='set it to "upstream" again; or drain the node, stop kubelet and containerd, remove '
                f"{self.unit.file} and {CONTAINERD_BIN}, and run again",
            )
        elif found.used or (docker and docker.used):
            of_docker = " for Docker" if docker and docker.used else ""
            origin = f"package {found.package}" if found.package else "no package"
            yield _error(
                machine=machine.name,
                found=f"containerd {found.release} of {origin} has containers{of_docker}",
                wanted="and the deploy's own would take its place, as the unit has the same name",
                remedy="remove it if nobody needs them, or let Kubernetes use it too: containerd_source = "
                f'"{"docker-ce" if found.package == CE_PACKAGE else "distribution"}"',
                joints=EXPLAINED,
            )

    def packages_findings(
        self, cluster: Cluster, machine: Machine, seen: MachineState, platform: Platform
    ) -> Iterator[Finding]:
        if self.source == "distribution" and NAME not in seen.runtimes:
            yield from _not_of_the_distribution(cluster, machine, platform)
        if self.source == "docker-ce":
            yield from docker_repository.named_twice(cluster.settings, machine.name, seen, platform)
            if NAME not in seen.runtimes:
                of_its_own = 'containerd_source = "distribution"' if platform.containerd else ""
                yield from docker_repository.conflicts(machine.name, seen, platform, "a containerd", of_its_own)

    def kubelet_flags(self, cluster: Cluster) -> dict[str, str]:
        minor = cluster.release.minor
        return {
            **({"container-runtime": "remote"} if minor < (1, 24) else {}),
            # From 1.27 on it is a field of the configuration.
            **({"container-runtime-endpoint": ENDPOINT} if minor < (1, 27) else {}),
            # So that the kubelet does not collect it as garbage; containerd itself pins it from 1.6.22 and 1.7.3 on.
            **known("flags", "kubelet", {"pod-infra-container-image": cluster.pause_image}, minor),
        }

    def kubelet_configuration(self, cluster: Cluster) -> dict[str, Any]:
        settings = cluster.settings
        number, unit = settings.container_log_max_size[:-1], settings.container_log_max_size[-1]
        return {
            **({"containerRuntimeEndpoint": ENDPOINT} if cluster.release.minor >= (1, 27) else {}),
            # containerd writes the logs, and the kubelet rotates them. Its quantities have m for a thousandth.
            "containerLogMaxFiles": settings.container_log_max_files,
            "containerLogMaxSize": f"{number}{unit.upper()}i",
        }

    def image_ids(self, references: Iterable[str]) -> str:
        # For its own use the CRI plugin names each image a second time, by the digest of its configuration, which is
        # the ID that Docker gives it: two names, one target (containerd's internal/cri/server/images/image_pull.go).
        asked = " ".join(f"{reference} {full_name(reference)}" for reference in references)
        return (
            f"{_CTR}timeout 20 {_KUBERNETES} images ls 2>/dev/null | awk -v asked={quote(asked)} '"
            "{ target[$1] = $3 } $1 ~ /^sha256:/ { id[$3] = $1 } "
            'END { count = split(asked, word, " "); for (at = 1; at < count; at += 2) '
            "if (target[word[at + 1]] in id) print word[at], id[target[word[at + 1]]] }'; exit 0"
        )

    def load_images(self, tars: Sequence[str]) -> str:
        # Unpacked by gunzip, which tells of a tar that was cut off.
        return (
            f'{_CTR}for tar in {join(tars)}; do gunzip -f "$tar"; '
            f'{_KUBERNETES} images import "${{tar%.gz}}" >/dev/null; rm "${{tar%.gz}}"; done'
        )

    def restart_containers(self, names: Iterable[str]) -> str:
        # The kubelet starts them again.
        return (
            f"{_CTR}runs() {{ {_KUBERNETES} tasks ls | "
            'awk -v id="$1" \'$1 == id && $3 == "RUNNING" {found = 1} END {exit !found}\'; }; '
            f"for name in {join(names)}; do "
            f'for id in $({_KUBERNETES} containers ls --quiet "labels.\\"io.kubernetes.container.name\\"==$name"); do '
            f'runs "$id" || continue; {_KUBERNETES} tasks kill --signal SIGTERM "$id"; '
            "end=$(($(date +%s) + 10)); "
            'while runs "$id" && [ "$(date +%s)" -lt "$end" ]; do sleep 1; done; '
            f'if runs "$id"; then {_KUBERNETES} tasks kill --signal SIGKILL "$id"; fi; '
            "done; done"
        )


def ce_packages(cluster: Cluster) -> Packages:
    """Of Docker's repository."""
    return Packages(
        names=(CE_PACKAGE,),
        version=cluster.settings.containerd_version,
        first=cluster.release.containerd_from,
        below=cluster.release.containerd_below,
        choice="containerd_version may be the beginning of one of:",
        preferences=APT_PREFERENCES,
    )


def full_name(reference: str) -> str:
    """An image's name as containerd has it: with its registry, which for a short one is Docker Hub."""
    first, slash, _ = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return reference
    return f"docker.io/{reference}" if slash else f"docker.io/library/{reference}"


def service_lines(release: tuple[int, ...], systemd: int | None) -> list[str]:
    """
    Of the unit: as upstream's containerd.service. With KillMode=process containers outlive a restart (docs/ops.md).

    + release: containerd's; + systemd: its version, None if it is not known
    """
    return [
        "Type=notify",
        "Delegate=yes",
        "KillMode=process",
        "TasksMax=infinity",
        "LimitNPROC=infinity",
        "LimitCORE=infinity",
        *_open_files(release, systemd),
        "OOMScoreAdjust=-999",
        f"Environment=PATH={_PATH}",
        "ExecStartPre=-/sbin/modprobe overlay",
    ]


def _open_files(release: tuple[int, ...], systemd: int | None) -> list[str]:
    """Containers inherit it. containerd 2 leaves it at systemd's default, which is 1024:524288 from 240 on (NEWS)."""
    if release < (2,):
        return ["LimitNOFILE=infinity"]
    if systemd is None or systemd >= 240:
        return []
    return ["LimitNOFILE=1024:524288" if systemd >= 227 else "LimitNOFILE=524288"]  # two values: from 227 on


def _accepted(release: tuple[int, ...]) -> str:
    """Shell that succeeds if containerd reads the file {new}; one of another release, still in place, is not asked."""
    text = written(release[:2])
    return (
        f"{_CTR}case $(containerd --version 2>/dev/null) in "
        f'*" v{text}."*|*" {text}."*) containerd --config {{new}} config dump >/dev/null ;; esac'
    )


def _tools(here: Here, ctr: bool) -> Iterator[Wanted]:
    if ctr:
        yield Link(f"{LINKS}/ctr", f"{CONTAINERD_BIN}/ctr")
    if here.settings.crictl:
        yield Link(f"{LINKS}/crictl", f"{CONTAINERD_BIN}/crictl")
        yield File(CRICTL_YAML, template("containerd/crictl.yaml.j2", endpoint=ENDPOINT))


def _not_of_the_distribution(cluster: Cluster, machine: Machine, platform: Platform) -> Iterator[Finding]:
    remedy = 'take containerd_source out of group_data/all.py, and upstream\'s comes, or set it to "docker-ce"'
    release = leading_numbers(platform.containerd_release)
    if not platform.containerd:
        found = f"{platform.title} has no containerd of its own"
        yield _error(machine=machine.name, found=found, remedy=remedy)
    elif release and not _fits(cluster, release):
        yield _error(
            machine=machine.name,
            found=f"{platform.title} {platform.release} has containerd {platform.containerd_release}",
            wanted=_wanted(cluster),
            remedy=remedy,
            joints=EXPLAINED,
        )


def _of_another_release(cluster: Cluster, machine: Machine, found: InstalledRuntime) -> Iterator[Finding]:
    if found.version and not _fits(cluster, found.version):
        yield _error(
            machine=machine.name,
            found=f"containerd {found.release} is installed ({found.package or 'from no package'})",
            wanted=_wanted(cluster),
            remedy="update it, or remove it and take containerd_source out of group_data/all.py: upstream's then comes",
            joints=EXPLAINED,
        )


def _fits(cluster: Cluster, release: tuple[int, ...]) -> bool:
    return cluster.release.containerd_from <= release < cluster.release.containerd_below


def _wanted(cluster: Cluster) -> str:
    release = cluster.release
    first, below = written(release.containerd_from), written(release.containerd_below)
    return f"Kubernetes {release.kubernetes} goes with {first} to below {below}"
