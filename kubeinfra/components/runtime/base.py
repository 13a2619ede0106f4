"""The protocol that every container runtime implements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.base import Component, Here, Probe, Unit
from kubeinfra.components.platforms import Platform
from kubeinfra.findings import Finding
from kubeinfra.machine.state import MachineState


class Runtime(Protocol):
    """A container runtime; all shell runs as root on a node."""

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
        Shell that prints about the runtime, if it is installed, "runtime=<version>", "runtime-package=<package>",
        "runtime-unit=<base64>" of what `given_flags` reads, and "runtime-used=yes" if it has containers.
        """
        ...

    def describe(self, here: Here) -> Component:
        """Its configuration; its task installs packages."""
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

    def image_ids(self, references: Iterable[str]) -> str:
        """Shell that prints "<reference> sha256:<hex>" for each of these images that it has; succeeds in any case."""
        ...

    def load_images(self, tars: Sequence[str]) -> str:
        """Shell that loads these compressed tar files, and removes each once it is loaded."""
        ...

    def restart_containers(self, names: Iterable[str]) -> str:
        """Shell that restarts this node's containers of these names (`spec.containers[].name` of their pods)."""
        ...
