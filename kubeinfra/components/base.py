"""The words in which a component is described: what it has on one machine, and how it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.cluster.settings import Settings
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

    + binary: what its process must run, "" if a package owns it
    + reloads: its ExecReload is enough for another configuration, and records the inputs again
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
    A condition and how it is asked.

    + what: the condition in words; + command: shell that succeeds if it is true
    + timeout: seconds to wait for it; + unit: whose journal is shown if it does not become true
    """

    what: str
    command: str
    timeout: int = 120
    unit: str = ""


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

    + listener: who listens; + sources: who must reach it, in the words of README's table; empty: the machine itself
    """

    number: int
    listener: str
    sources: tuple[str, ...] = ()
    protocol: str = "tcp"


@dataclass(frozen=True)
class Here:
    """
    All that a description may depend on.

    + seen: what preflight saw of this machine; + others: machine name -> what it saw of each, as far as it has
    + secrets: CAs and shared secrets; what the run has yet to create is None
    """

    cluster: Cluster
    machine: Machine
    seen: MachineState
    secrets: ClusterSecrets = field(repr=False)
    others: Mapping[str, MachineState] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """This machine's."""
        return self.cluster.settings_of(self.machine)


@dataclass(frozen=True)
class Component:
    """What a component has on one machine. Directories come before certificates, and these before other files."""

    files: tuple[Wanted, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    binaries: tuple[Needed, ...] = ()


Describe = Callable[[Here], Component]
