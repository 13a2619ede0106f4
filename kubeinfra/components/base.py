"""The types that describe a component: what it has on one machine, and how its state is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.cluster.settings import Settings
from kubeinfra.components.platforms import Platform, platform_of
from kubeinfra.machine.state import MachineState
from kubeinfra.machine.wanted import Wanted
from kubeinfra.paths import UNITS
from kubeinfra.pki.certificates import Certificate
from kubeinfra.pki.secrets import ClusterSecrets
from kubeinfra.releases.catalogue import Artifact


@dataclass(frozen=True)
class Unit:
    """
    A systemd unit.

    + binary: path of its executable, "" if a package owns it
    + reloads: a reload is enough for a changed configuration; its ExecReload records the inputs again
    """

    name: str
    binary: str = ""
    reloads: bool = False

    @property
    def file(self) -> str:
        return f"{UNITS}/{self.name}"

    @property
    def drop_in(self) -> str:
        """For a unit whose file a package owns."""
        return f"{UNITS}/{self.name}.d/kubeinfra.conf"


@dataclass(frozen=True)
class Probe:
    """
    A condition and how it is checked.

    + what: the condition in words; + command: shell that succeeds if it is true
    + timeout: seconds to wait for it; + unit: the unit whose journal is shown if it does not become true
    + why: shell that says on stderr why it does not become true; `pods_say` is one
    + on_master: for a guard: it is asked on a master, as the machine's own credentials may not see it
    + unless: for a guard: shell that succeeds on the machine if the condition does not matter there
    """

    what: str
    command: str
    timeout: int = 120
    unit: str = ""
    why: str = ""
    on_master: bool = False
    unless: str = ""


@dataclass(frozen=True)
class Needed:
    """Binaries of one artifact in one directory; `names` empty: all that the artifact has."""

    artifact: Artifact
    directory: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Port:
    """
    A port on which a component listens.

    + listener: the process; + sources: who must reach it, as in the table of ports; empty: only the machine itself
    """

    number: int
    listener: str
    sources: tuple[str, ...] = ()
    protocol: str = "tcp"


@dataclass(frozen=True)
class Here:
    """
    Everything that a description may depend on.

    + seen: state of this machine in preflight; + others: machine name -> its state, for machines that were read
    + secrets: CAs and shared secrets; what the run has yet to create is None
    + joins: it is a node that has yet to get its certificate, or whose certificate has ended
    """

    cluster: Cluster
    machine: Machine
    seen: MachineState
    secrets: ClusterSecrets = field(repr=False)
    others: Mapping[str, MachineState] = field(default_factory=dict)
    joins: bool = False

    @property
    def settings(self) -> Settings:
        """This machine's."""
        return self.cluster.settings_of(self.machine)

    @property
    def platform(self) -> Platform:
        """What its distribution calls things."""
        return platform_of(self.seen, self.settings)


@dataclass(frozen=True)
class Component:
    """What a component has on one machine. Directories come before certificates, and these before other files."""

    files: tuple[Wanted, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    binaries: tuple[Needed, ...] = ()


Describe = Callable[[Here], Component]
