"""What preflight's checks know of a machine besides its `MachineState`: the answer of files/preflight/survey.sh."""

from __future__ import annotations

import re
from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise
from typing import TypeVar

_MARK = "survey "
T = TypeVar("T")
IPTABLES = ("iptables-save", "iptables-legacy-save", "iptables-nft-save")


@dataclass(frozen=True)
class Link:
    """A network interface; `mtu` in bytes, `mac` in lower case."""

    name: str
    mtu: int
    mac: str


@dataclass(frozen=True)
class Route:
    """
    An IPv4 route; `via`: the router, None if it is on the link.

    + refuses: nothing gets there: a blackhole and the like, whose `device` is ""
    """

    network: IPv4Network
    via: IPv4Address | None
    device: str
    refuses: bool = False


@dataclass(frozen=True)
class Process:
    """A process that listens, or that has the name of one of Kubernetes'; `unit`: "" if it is in none."""

    pid: int
    exe: str
    cgroup: str
    name: str

    @property
    def unit(self) -> str:
        found = re.findall(r"[^/]+\.service", self.cgroup)
        return found[-1] if found else ""


@dataclass(frozen=True)
class Listener:
    """Something that listens on a port; `pids`: nobody's for what the kernel itself listens on."""

    protocol: str
    address: str
    port: int
    pids: tuple[int, ...]


@dataclass(frozen=True)
class DropIn:
    """A drop-in of a unit; `keys`: the settings that it has, such as "ExecStart"."""

    path: str
    keys: tuple[str, ...]

    @property
    def unit(self) -> str:
        return self.path.split("/")[-2].removesuffix(".d")


@dataclass(frozen=True)
class EtcdData:
    """etcd's data; `age`: seconds since it was last written; `cluster`: its id in hex, None if the WAL does not say."""

    path: str
    age: int
    cluster: str | None


@dataclass(frozen=True)
class Survey:
    """
    One machine; what was not asked, or could not be, is None or empty.

    + kernel: such as "5.10.0-30-amd64"; ip_vs: whether it has that module, loaded or not
    + conntrack_ipv4, br_netfilter: the same of nf_conntrack_ipv4 and br_netfilter
    + nft_version: of the program nft, such as (1, 0, 6); None without it
    + memory, disks: KiB, of disks what is free where a path is or will be
    + ssh: address of the other end of the controller's own connection; + proxies, time_servers: hosts, as written
    + iptables: what listed them -> the lines of table filter; + nft: each table, as JSON
    + latencies: seconds of each synchronous write where etcd's data will be
    + binaries: where /opt/etcd/bin and /opt/kubernetes/bin really are, if /opt is a link
    + kubelet_certificate: PEM of the kubelet's own, as a client of the API; "" without one
    + releases: "kube-apiserver" and "kubelet" of ours, which run or would be started -> release, such as "1.20.1"
    + left_files: paths of other clusters; + mounts, chains: where, or how they are called -> how many there are
    + reached: "address:port" of other machines to which a TCP connection could be made; None if it was not asked
    + unasked: what this machine could not be asked, such as "ports" or "nft-table inet mine"
    """

    kernel: str = ""
    ip_vs: bool | None = None
    conntrack_ipv4: bool = False
    br_netfilter: bool | None = None
    nft_version: tuple[int, ...] | None = None
    cpus: int | None = None
    memory: int | None = None
    disks: dict[str, int] = field(default_factory=dict)
    machine_id: str = ""
    product_uuid: str = ""
    host_keys: frozenset[str] = frozenset()
    links: tuple[Link, ...] = ()
    routes: tuple[Route, ...] | None = None
    name_servers: tuple[str, ...] = ()
    time_servers: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    ssh: str = ""
    listeners: tuple[Listener, ...] = ()
    processes: tuple[Process, ...] = ()
    drop_ins: tuple[DropIn, ...] = ()
    cni: tuple[str, ...] = ()
    etcd_data: tuple[EtcdData, ...] = ()
    firewalls: tuple[str, ...] = ()
    iptables: dict[str, tuple[str, ...]] = field(default_factory=dict)
    nft: tuple[str, ...] = ()
    latencies: tuple[float, ...] = ()
    binaries: tuple[str, ...] = ()
    kubelet_certificate: str = ""
    releases: dict[str, str] = field(default_factory=dict)
    left_files: tuple[str, ...] = ()
    mounts: dict[str, int] = field(default_factory=dict)
    chains: dict[str, int] = field(default_factory=dict)
    reached: frozenset[str] | None = None
    unasked: tuple[str, ...] = ()

    @cached_property
    def process(self) -> dict[int, Process]:
        return {process.pid: process for process in self.processes}

    def link(self, name: str) -> Link | None:
        return next((one for one in self.links if one.name == name), None)


_YES_OR_NO = {"yes": True, "no": False}  # anything else was not asked


def survey(output: Iterable[str]) -> Survey:
    """From the lines of a whole answer; those that are not the survey's are left out."""
    said: dict[str, list[str]] = defaultdict(list)
    for line in output:
        if line.startswith(_MARK):
            key, _, value = line.removeprefix(_MARK).partition(" ")
            said[key].append(value.strip())

    def first(key: str) -> str:
        return said[key][0] if said[key] else ""

    return Survey(
        kernel=first("kernel"),
        ip_vs=_YES_OR_NO.get(first("ip-vs")),
        conntrack_ipv4="conntrack-ipv4" in said,
        br_netfilter=_YES_OR_NO.get(first("br-netfilter")),
        nft_version=_nft(first("nft-version")),
        cpus=_number(first("cpus")),
        memory=_number(first("memory")),
        disks=_numbers(said["disk"]),
        machine_id=first("machine-id"),
        product_uuid=first("product-uuid").lower(),
        host_keys=frozenset(said["host-key"]),
        links=_each(_link, said["link"]),
        routes=_routes(said["route"], is_asked=bool(said["kernel"]) and "routes" not in said["unasked"]),
        name_servers=tuple(dict.fromkeys(said["nameserver"])),
        time_servers=tuple(dict.fromkeys(" ".join(said["time-server"]).split())),
        proxies=tuple(said["proxy"]),
        ssh=first("ssh").partition(" ")[0],
        listeners=_each(_listener, said["listen"]),
        processes=_each(_process, said["process"]),
        drop_ins=tuple(DropIn(path, tuple(keys.split())) for path, _, keys in map(_halves, said["drop-in"])),
        cni=tuple(sorted(said["cni"])),
        etcd_data=_each(_etcd_data, said["etcd-data"]),
        firewalls=tuple(said["firewall"]),
        iptables={name: tuple(said[name]) for name in IPTABLES if said[name]},
        nft=_each(lambda line: b64decode(line).decode(errors="replace"), said["nft"]),
        latencies=tuple(map(float, first("fsync").split())),
        binaries=tuple(said["binaries"]),
        kubelet_certificate=b64decode(first("kubelet-certificate")).decode(errors="replace"),
        releases=dict(_each(_release, said["release"])),
        left_files=tuple(said["left-file"]),
        mounts=_numbers(said["mounts"]),
        chains=_numbers(said["chains"]),
        reached=frozenset(said["reached"]) if said["reach"] else None,
        unasked=tuple(said["unasked"]),
    )


def _each(read: Callable[[str], T], lines: Iterable[str]) -> tuple[T, ...]:
    """What each line says; without half lines, of an interface or a process that went away while it was asked."""
    found = []
    for line in lines:
        try:
            found.append(read(line))
        except ValueError:
            continue
    return tuple(found)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _numbers(lines: Iterable[str]) -> dict[str, int]:
    return {what: int(number) for what, _, number in map(_halves, lines) if number.isdecimal()}


def _nft(said: str) -> tuple[int, ...] | None:
    """Such as "nftables v1.0.6 (Lester Gooch #5)"; a version that cannot be read is older than any."""
    if not said:
        return None
    found = re.search(r"v(\d+(?:\.\d+)*)", said)
    return tuple(map(int, found[1].split("."))) if found else ()


def _halves(line: str) -> tuple[str, str, str]:
    return line.partition(" ")


def _link(line: str) -> Link:
    name, mtu, *mac = line.split(" ")
    return Link(name, int(mtu), (mac[0] if mac else "").lower())


def _routes(lines: Iterable[str], is_asked: bool) -> tuple[Route, ...] | None:
    """As `ip -4 -o route show` prints them: [TYPE] NETWORK [via ROUTER] [dev DEVICE] ..."""
    if not is_asked:
        return None
    found = []
    for line in lines:
        words = line.replace("\\", " ").split()
        refuses = bool(words) and words[0] in ("unreachable", "blackhole", "prohibit", "throw")
        if words and words[0].isalpha() and words[0] != "default":
            words = words[1:]  # its type
        after = dict(pairwise(words))
        try:
            network = IPv4Network("0.0.0.0/0" if words[0] == "default" else words[0])
            via = IPv4Address(after["via"]) if "via" in after else None
        except (ValueError, IndexError):
            continue  # of a kind that has no IPv4 network, such as "nhid", or a router with an IPv6 address
        found.append(Route(network, via, after.get("dev", ""), refuses))
    return tuple(found)


def _listener(line: str) -> Listener:
    """As `ss -lntup` prints them."""
    protocol, local, users = line.split(" ", 2)
    address, _, port = local.rpartition(":")
    return Listener(protocol, address, int(port), tuple(int(pid) for pid in re.findall(r"pid=(\d+)", users)))


def _process(line: str) -> Process:
    pid, exe, cgroup, name = line.split("|", 3)
    return Process(int(pid), exe, cgroup, name)


def _release(line: str) -> tuple[str, str]:
    """Such as "kubelet Kubernetes v1.20.1"; of a build of one's own there may follow more: "v1.20.1+mine"."""
    program, _, said = line.partition(" ")
    found = re.search(r" v(\d+\.\d+\.\d+)", said)
    if not found:
        raise ValueError(line)
    return program, found[1]


def _etcd_data(line: str) -> EtcdData:
    path, age, *wal = line.split(" ")
    return EtcdData(path, int(age), cluster_of_wal(b64decode(wal[0])) if wal else None)


def cluster_of_wal(beginning: bytes) -> str | None:
    """
    The id of the cluster in the first bytes of a write-ahead log, in hex as etcdctl prints it; None if it has none.

    A frame is eight bytes of length and padding, then a protobuf Record {1: type, 2: crc, 3: data}; a Record of type 1
    has Metadata {1: node id, 2: cluster id}. Source: etcd's server/storage/wal, encoder.go and walpb/record.proto.
    """
    at = 0
    while at + 8 <= len(beginning):
        length = int.from_bytes(beginning[at : at + 7], "little")
        padding = beginning[at + 7] & 0x7 if beginning[at + 7] & 0x80 else 0
        record = _fields(beginning[at + 8 : at + 8 + length])
        if record.get(1) == 1 and isinstance(data := record.get(3), bytes):
            cluster = _fields(data).get(2)
            return f"{cluster:x}" if isinstance(cluster, int) and cluster else None
        if not record or length == 0:
            return None
        at += 8 + length + padding
    return None


def _fields(message: bytes) -> dict[int, int | bytes]:
    """Number of a field -> its value, of a protobuf message with numbers and bytes; nothing if it is another."""
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        value, at = _varint(message, at)
        if key & 7 == 0:
            found[key >> 3] = value
        elif key & 7 == 2 and at + value <= len(message):
            found[key >> 3] = message[at : at + value]
            at += value
        else:
            return {}
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            break
    return value, at
