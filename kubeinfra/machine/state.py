"""State of a machine: what the facts (`kubeinfra/facts/`) return, and pure code decides from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface

from kubeinfra.machine.software import Software
from kubeinfra.machine.survey import Survey

CHRONY_MARK = "# Written by kubeinfra"
"""First words of a chrony configuration that this project has written."""


@dataclass(frozen=True)
class InterfaceAddress:
    """An address of an interface, with its prefix."""

    name: str
    address: IPv4Interface


@dataclass(frozen=True)
class InstalledRuntime:
    """
    A container runtime that a machine has.

    + version: numbers of its release, such as (20, 10, 24); empty if it does not say them
    + path: of the program; + package: the package that it is from, "" if it is from none
    + flags: what its command line says, as keys of its configuration
    + used: whether it has containers; mirrors: files of ours that name mirrors of registries
    """

    version: tuple[int, ...] = ()
    path: str = ""
    package: str = ""
    flags: tuple[str, ...] = ()
    used: bool = False
    mirrors: tuple[str, ...] = ()

    @property
    def release(self) -> str:
        """Its first two numbers, such as "20.10"."""
        return ".".join(map(str, self.version[:2]))


@dataclass(frozen=True)
class MachineState:
    """
    What must be known of a machine before anything is decided.

    + uid: of the user that commands run as; 0 is needed
    + arch: in upstream's spelling
    + systemd: its version if it is PID 1, else None
    + family: "debian" (apt), "redhat" (dnf or yum) or ""; distribution: ID of /etc/os-release
    + container: whether it is a container, which has its host's clock and kernel
    + cgroup_v2: whether it has the unified cgroup hierarchy
    + interfaces: IPv4 addresses, each with the interface that has it
    + resolv_conf: text of /etc/resolv.conf; systemd_resolv_conf: of the one with the servers that systemd-resolved asks
      itself; "" without such a file
    + cloud_init: whether cloud-init may set the host name at boot; cloud_init_hosts: whether it also makes /etc/hosts
    + keeps_time: whether a time daemon runs that this project has not set up
    + runtimes: container runtimes that are installed, by name; kubelet_runtime: name of the one that its kubelet was
      set up with, "" without a kubelet of ours
    + etcd_name: the member name that its etcd data was made with; None without data
    + etcd_version: of the etcd that runs with its data, or else is installed; "" without data
    + etcd_cluster: id of the cluster that its etcd is a member of, in hex; None if it does not run
    + etcd_serves: whether its etcd answers a read that needs a quorum
    + clock_ahead: seconds by which its clock is ahead of the controller's; negative: behind
    + cas: CA -> the PEM certificates that the machine trusts for it
    + secrets: names of the shared secrets that the machine has
    + software: its distribution's release, and what is installed that matters
    + survey: what preflight's checks look at besides
    """

    uid: int
    arch: str
    systemd: int | None
    family: str
    distribution: str
    container: bool
    resolv_conf: str
    systemd_resolv_conf: str
    keeps_time: bool
    cgroup_v2: bool = False
    interfaces: tuple[InterfaceAddress, ...] = ()
    runtimes: Mapping[str, InstalledRuntime] = field(default_factory=dict)
    kubelet_runtime: str = ""
    etcd_name: str | None = None
    etcd_version: str = ""
    etcd_cluster: str | None = None
    etcd_serves: bool = False
    clock_ahead: float = 0
    cas: dict[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    software: Software = field(default_factory=Software)
    cloud_init: bool = False
    cloud_init_hosts: bool = False
    survey: Survey = field(default_factory=Survey)

    @property
    def kernel(self) -> tuple[int, int] | None:
        """Version of its kernel as numbers, such as (4, 18); None if it is not known."""
        numbers = re.match(r"(\d+)\.(\d+)", self.survey.kernel)
        return (int(numbers[1]), int(numbers[2])) if numbers else None

    @property
    def addresses(self) -> tuple[IPv4Interface, ...]:
        """IPv4 addresses with their prefixes."""
        return tuple(one.address for one in self.interfaces)

    def interface_of(self, address: IPv4Address) -> InterfaceAddress | None:
        """The interface that has this address."""
        return next((one for one in self.interfaces if one.address.ip == address), None)


@dataclass(frozen=True)
class SystemState:
    """
    How the operating system is set up.

    + hostname: the kernel's
    + firewalls: units that run or start at boot
    + selinux: "Enforcing", "Permissive", "Disabled" or ""
    + swaps: what is in use (/proc/swaps); swap_units: systemd units of swap that a file defines, so that it is back
      after a reboot; swap_services: enabled services that switch swap on; swap_scripts: other files that do so
    + modules: name -> "loaded", "loadable" or "missing"
    + sysctls: key -> present value; a key that the kernel does not have is left out
    + read_only: keys that cannot be set
    """

    hostname: str
    firewalls: tuple[str, ...]
    selinux: str
    swaps: tuple[str, ...]
    swap_units: tuple[str, ...]
    modules: dict[str, str]
    sysctls: dict[str, str]
    read_only: tuple[str, ...]
    swap_services: tuple[str, ...] = ()
    swap_scripts: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnitState:
    """
    One unit: systemd's ActiveState ("active", "activating", "failed", "inactive"; "" without systemd) and
    UnitFileState ("enabled", "disabled", "masked", "" if there is no such unit).

    + reload_needed: systemd has not read the unit file that is on the disk
    + recorded: every input path -> its digest (or "present", "absent") when the process started
    + stale: the input paths that have changed since
    """

    active: str
    enabled: str
    reload_needed: bool
    recorded: dict[str, str]
    stale: tuple[str, ...]


@dataclass(frozen=True)
class CertificateState:
    """A pair of files: PEM texts, None if missing or unreadable; modes as "600 root:root", "" if missing."""

    certificate_pem: str | None
    public_key_pem: str | None
    certificate_mode: str
    key_mode: str


@dataclass(frozen=True)
class BinaryState:
    """SHA-256 in hex, and the first line of its `--version`, "" if it is the wanted binary."""

    sha256: str
    version: str


@dataclass(frozen=True)
class VirtualAddressState:
    """
    The machine's side of a virtual address.

    + interfaces: interface name -> its addresses with their prefixes
    + answered_by: link-layer address that answers for the virtual address, "" if there is none
    + peers: link-layer addresses of the other load balancers
    + asked: whether the check could be made; it needs ping on the machine
    """

    interfaces: dict[str, list[IPv4Interface]]
    answered_by: str
    peers: frozenset[str]
    asked: bool = True

    def interface_of(self, address: IPv4Address) -> tuple[str, IPv4Interface] | None:
        """The interface that has this address, and the address with its prefix."""
        for name, own in self.interfaces.items():
            for interface in own:
                if interface.ip == address:
                    return name, interface
        return None

    def has(self, address: IPv4Address) -> bool:
        return self.interface_of(address) is not None

    @property
    def stranger(self) -> bool:
        """Whether a machine that is not one of the load balancers answers."""
        return bool(self.answered_by) and self.answered_by not in self.peers


@dataclass(frozen=True)
class PathState:
    """
    What is at a path: kind ("file", "directory", "link", "other"), mode and owner (of the directory, where a link leads
    to one), digest of a file, target of a link.
    """

    kind: str
    mode: str = ""
    owner: str = ""
    digest: str = ""
    target: str = ""
    text: str | None = None
