"""The protocol that every container runtime implements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.base import Component, Here, Needed, Probe, Unit
from kubeinfra.components.platforms import Platform
from kubeinfra.findings import Finding
from kubeinfra.machine.state import MachineState


class Runtime(Protocol):
    """A container runtime; all shell runs as root on a node."""

    @property
    def name(self) -> str:
        """As the setting container_runtime has it; its task is tasks/<name>.py."""
        ...

    @property
    def unit(self) -> Unit: ...

    @property
    def ready(self) -> Probe:
        """It runs, with the systemd cgroup driver."""
        ...

    @property
    def owns(self) -> tuple[str, ...]:
        """Paths on a node that the deploy owns, as in the other components."""
        ...

    @property
    def data(self) -> str:
        """The directory where it has images and containers."""
        ...

    @property
    def cgroups(self) -> tuple[str, ...]:
        """Parts of the cgroup paths of its containers."""
        ...

    @property
    def version(self) -> str:
        """
        Shell that prints about the runtime, if it is installed, "<name>=<version>", "<name>-path=<program>",
        "<name>-package=<package>", "<name>-used=yes" if it has containers; besides, where it matters, "<name>-unit=
        <base64>" of what `given_flags` reads, and "<name>-mirrors=<files>" of ours that name mirrors of registries.
        """
        ...

    def binaries(self, cluster: Cluster, arch: str) -> tuple[Needed, ...]:
        """What of it does not come from a package."""
        ...

    def describe(self, here: Here) -> Component:
        """What it has on a node; its task installs packages."""
        ...

    def findings(self, cluster: Cluster, machine: Machine, seen: MachineState) -> Iterable[Finding]:
        """Errors for what on a node does not work with this runtime."""
        ...

    def packages_findings(
        self, cluster: Cluster, machine: Machine, seen: MachineState, platform: Platform
    ) -> Iterable[Finding]:
        """Errors for what keeps its packages from being installed on a node."""
        ...

    def kubelet_flags(self, cluster: Cluster) -> dict[str, str]:
        """The kubelet's flags for this runtime."""
        ...

    def kubelet_configuration(self, cluster: Cluster) -> dict[str, Any]:
        """Fields of KubeletConfiguration for this runtime."""
        ...

    def image_ids(self, references: Iterable[str]) -> str:
        """Shell that prints "<reference> sha256:<hex>" for each of these images that it has; succeeds in any case."""
        ...

    def load_images(self, tars: Sequence[str]) -> str:
        """Shell that loads these compressed tar files, and removes each once it is loaded."""
        ...

    def restart_containers(self, names: Iterable[str]) -> str:
        """Shell that restarts this node's containers of these names (`spec.containers[].name` of their pods)."""
        ...


def told(name: str, program: str, version: str, more: str) -> str:
    """
    The shell of `Runtime.version`.

    + program: shell that prints the path of its program, or fails; the others have that path in $program
    + version: shell that prints its version, with whatever may follow; + more: shell that prints the other lines
    """
    return (
        f'if program=$({program}); then echo "{name}=$({version})"; echo "{name}-path=$program"; '
        'file=$(readlink -f "$program"); owner=$(dpkg-query -S "$file" 2>/dev/null) || '
        "owner=$(rpm -q -f --qf '%{NAME}' \"$file\" 2>/dev/null) || owner=; "
        f'echo "{name}-package=${{owner%%:*}}"; {more}; fi'
    )


def leading_numbers(version: str) -> tuple[int, ...]:
    """The numbers at the beginning of a version: "1.6.20~ds1" -> (1, 6, 20); empty if it begins with none."""
    found = re.match(r"\d+(\.\d+)*", version.strip())
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def without_ftype(machine: Machine, data: str, storage: str, elsewhere: str) -> Finding:
    """
    The error for a machine on whose disk a runtime's data cannot be.

    + data: the runtime's directory; + storage: what needs another disk; + elsewhere: how another directory is named
    """
    return Finding(
        "container runtime",
        machine.name,
        "error",
        f"the disk of {data} is an xfs that was made with ftype=0",
        f"on which {storage} cannot work",
        f"mount ext4, or an xfs made with ftype=1, at that directory, or name one on such a disk, {elsewhere}",
    )
