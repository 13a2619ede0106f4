"""etcd on one member: its binaries, certificates, configuration and unit, and how its health is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from re import findall

from kubeinfra.cluster.cluster import ETCD_CLIENT_PORT, ETCD_PEER_PORT, Cluster, Machine
from kubeinfra.components.base import Component, Here, Needed, Port, Probe, Unit
from kubeinfra.components.direct import CURL
from kubeinfra.machine.render import template
from kubeinfra.machine.state import MachineState
from kubeinfra.machine.wanted import Directory, File, Link, Wanted
from kubeinfra.paths import ETCD_BIN, ETCD_CA, ETCD_CFG, ETCD_DATA, ETCD_HOME, ETCD_SSL, ETCDCTL, ETCDUTL, LINKS
from kubeinfra.pki.certificates import etcd_server
from kubeinfra.releases.catalogue import artifact

UNIT = Unit("etcd.service", f"{ETCD_BIN}/etcd")
PORTS = (
    Port(ETCD_CLIENT_PORT, "etcd", ("masters", "etcd members")),
    Port(ETCD_PEER_PORT, "etcd", ("etcd members",)),
    Port(2381, "etcd's metrics"),
)
OWNS = ("/opt/etcd", ETCD_HOME, UNIT.file, ETCDCTL, ETCDUTL, f"{LINKS}/etcd")


@dataclass(frozen=True)
class EtcdMember:
    """One member of etcd: its machine, and the name that its data was created with."""

    name: str
    machine: Machine

    @property
    def client_url(self) -> str:
        return self.machine.etcd_client_url

    @property
    def peer_url(self) -> str:
        return self.machine.etcd_peer_url


def members(cluster: Cluster, seen: Mapping[str, MachineState]) -> tuple[EtcdMember, ...]:
    """
    The members in the order of the inventory. One that has data keeps its name; a new one takes the lowest free
    number: etcd01, etcd02, ...

    + seen: machine name -> its state; a machine that was not read counts as new
    """
    machines = cluster.etcd_machines
    kept = {one.name: name for one in machines if one.name in seen and (name := seen[one.name].etcd_name)}
    free = (name for number in count(1) if (name := f"etcd{number:02}") not in kept.values())
    return tuple(EtcdMember(kept.get(machine.name) or next(free), machine) for machine in machines)


def member(here: Here) -> EtcdMember:
    """This machine's own."""
    return next(one for one in members(here.cluster, here.others) if one.machine == here.machine)


def describe(here: Here) -> Component:
    """Everything that a member has on its disk; etcd.initial is for its first start, and stays once it has data."""
    own, settings = member(here), here.settings
    every = members(here.cluster, here.others)
    certificate = etcd_server(here.machine)
    inputs = [UNIT.file, f"{ETCD_CFG}/etcd", ETCD_CA, *certificate.files]
    environment = template(
        "etcd/etcd.j2",
        member=own,
        quota_backend_bytes=settings.etcd_quota_backend_bytes,
        compaction_retention=settings.etcd_compaction_retention,
    )
    at_birth = template("etcd/etcd.initial.j2", member=own, members=every, state=initial_cluster_state(here))
    files: tuple[Wanted, ...] = (
        Directory(ETCD_CFG),
        Directory(ETCD_SSL, "700"),
        Directory(ETCD_HOME, "700"),
        Directory(ETCD_DATA, "700"),
        File(ETCD_CA, here.secrets.bundle("etcd")),
        File(f"{ETCD_CFG}/etcd", environment),
        File(f"{ETCD_CFG}/etcd.initial", at_birth, unless=f"{ETCD_DATA}/member"),
        File(ETCDCTL, template("etcd/etcdctl.j2", members=every, minor=minor(here.cluster.etcd_version)), mode="755"),
        *([Link(ETCDUTL, f"{ETCD_BIN}/etcdutl")] if has_etcdutl(here.cluster.etcd_version) else []),
        Link(f"{LINKS}/etcd", UNIT.binary),
        File(UNIT.file, template("etcd/etcd.service.j2", inputs=inputs)),
    )
    return Component(files, (certificate,), binaries(here.cluster, here.seen.arch))


def initial_cluster_state(here: Here) -> str:
    """ "existing" if another member serves: a new one then joins it (etcd's --initial-cluster-state)."""
    machines = (one.name for one in here.cluster.etcd_machines if one != here.machine)
    return "existing" if any(here.others[name].etcd_serves for name in machines if name in here.others) else "new"


def binaries(cluster: Cluster, arch: str) -> tuple[Needed, ...]:
    names = ("etcd", "etcdctl", *(["etcdutl"] if has_etcdutl(cluster.etcd_version) else []))
    return (Needed(artifact("etcd", cluster.etcd_version, arch), ETCD_BIN, names),)


def minor(version: str) -> tuple[int, int]:
    """Major and minor of a release of etcd, fit for comparing: (3, 5)."""
    first, second = findall(r"\d+", version)[:2]
    return int(first), int(second)


def has_etcdutl(version: str) -> bool:
    """What works on files came with 3.5, and etcdctl has it no more from 3.6 on (etcd's CHANGELOG-3.5, -3.6)."""
    return minor(version) >= (3, 5)


def healthy(here: Here) -> Probe:
    """The member answers a read that needs a quorum, so that a run without a member that is down goes on."""
    return Probe(f"{member(here).name} is healthy", _health(here.machine), unit="etcd")


def others_healthy(here: Here) -> Probe | None:
    """
    The others must be healthy before this member restarts; checked on the machine, right before that. A member that is
    unhealthy itself may always restart: if a CA has expired, none is healthy, and each needs its restart.
    """
    others = [one for one in here.cluster.etcd_machines if one != here.machine]
    if not others:
        return None
    return Probe("the other etcd members are healthy", f"! {_health(here.machine)} || {_health(*others)}", 60)


def answers(cluster: Cluster) -> Probe:
    """
    Checked from any machine. Without a client certificate etcd closes the connection, which counts as an answer; an
    unknown name (6), a refused connection (7) and a timeout (28) do not.
    """
    asks = f"asks() {{ {CURL} -s -k -m 5 -o /dev/null $1/health; case $? in 6|7|28) false ;; esac; }}"
    return Probe("etcd answers", f"{asks}; {' || '.join(f'asks {url}' for url in cluster.etcd_servers.split(','))}")


def _health(*machines: Machine) -> str:
    urls = ",".join(machine.etcd_client_url for machine in machines)
    return f"ETCDCTL_ENDPOINTS={urls} {ETCDCTL} endpoint health"
