"""
Each file that a process is told of is among the inputs that its unit records, and no other: a forgotten one would go on
being used in its old version, a needless one would restart the process for nothing.

Told of: by the flags and the environment of the unit, and by the files that these name, and so on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Interface

import pytest
from certificate_samples import NOW
from cluster_samples import GUIDE, SEEN, VIRTUAL_IP, cluster, here

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.components import control_plane, etcd, host, load_balancer, network, node
from kubeinfra.components.base import Component, Describe
from kubeinfra.components.runtime import runtime
from kubeinfra.machine.software import Software
from kubeinfra.machine.state import InterfaceAddress, MachineState
from kubeinfra.machine.wanted import Edit, File
from kubeinfra.paths import KUBERNETES_SIGNING_CA
from kubeinfra.pki.ca import CA
from kubeinfra.pki.keys import new_service_account_key
from kubeinfra.pki.secrets import ClusterSecrets

# What a process is told of and need not restart for, and why.
NO_INPUT = {
    "containerd.service": {
        "/etc/containerd/certs.d": "a directory, read at each pull",
        "/opt/cni/bin": "a directory of programs, read for each pod",
        "/etc/cni/net.d": "a directory, watched",
    },
    "chrony.service": {"/var/lib/chrony/drift": "it writes that"},
    "chronyd.service": {"/var/lib/chrony/drift": "it writes that"},
    "etcd.service": {
        "/opt/etcd/cfg/etcd.initial": "read by a member without data only",
        "/var/lib/etcd/default.etcd": "its data",
    },
    "kube-apiserver.service": {"/opt/kubernetes/logs/audit.log": "it writes that"},
    "kubelet.service": {
        "/opt/kubernetes/ssl": "a directory, for the certificate that it writes",
        "/opt/cni/bin": "a directory of programs, read for each pod",
        "/etc/cni/net.d": "a directory, watched",
        "/etc/resolv.conf": "read for each pod",
        "/run/systemd/resolve/resolv.conf": "read for each pod",
        "/opt/kubernetes/cfg/resolv.conf": "read for each pod",
    },
    "nginx.service": {
        "/etc/nginx/modules-enabled/*.conf": "of the distribution's packages",
        "/usr/share/nginx/modules/*.conf": "of the distribution's packages",
        "/run/nginx.pid": "it writes that",
    },
    "haproxy.service": {"/run/haproxy.sock": "it makes that"},
    "keepalived.service": {"/etc/keepalived/check-apiserver": "a program, started for each check"},
}
# What is recorded although nothing names it: the process knows the path by itself.
BY_ITSELF = {
    "chrony.service": {"/etc/chrony/chrony.conf"},
    "chronyd.service": {"/etc/chrony.conf"},
    "containerd.service": {"/etc/containerd/config.toml"},
    "docker.service": {"/etc/docker/daemon.json"},
    "haproxy.service": {"/etc/haproxy/haproxy.cfg"},
    "keepalived.service": {"/etc/keepalived/keepalived.conf"},
    # The kubelet keeps its certificate current itself; that it has one says whether it must bootstrap.
    "kubelet.service": {"/opt/kubernetes/ssl/kubelet-client-current.pem"},
}
_PATH = re.compile(r"(?<![\w./:-])/(?:etc|opt|root|run|srv|usr|var)/[\w./*-]*[\w*]")


def described(
    found: Cluster, name: str, secrets: ClusterSecrets, seen: MachineState, joins: bool = False
) -> list[Component]:
    """All that this machine has."""
    machine = found.machine(name)
    address = InterfaceAddress("eth0", IPv4Interface(f"{machine.address}/24"))
    what = replace(here(found, name, replace(seen, interfaces=(address,))), secrets=secrets, joins=joins)
    of: dict[str, list[Describe]] = {
        "etcd": [etcd.describe],
        "master": [control_plane.describe, network.describe],
        "node": [node.describe, runtime(found).describe],
        "lb": [load_balancer.describe],
    }
    own = [describe for group, every in of.items() if group in machine.groups for describe in every]
    return [describe(what) for describe in (host.describe, *own)]


def texts(components: Iterable[Component]) -> dict[str, str]:
    """Path -> text of every file that a run would write."""
    found = {}
    for item in (item for component in components for item in component.files):
        if isinstance(item, Edit):
            found[item.path] = item.edit("")
        elif isinstance(item, File):
            assert item.content is not None, f"{item.path} is not known; what it names would be overlooked"
            found[item.path] = item.content
    return found


def recorded(unit: str) -> set[str]:
    """What the unit writes down when it starts, and when it reloads."""
    lines = recorders(unit)
    assert any(line.startswith("ExecStartPre=") for line in lines)
    (found,) = {frozenset(_recorded(line)) for line in lines}
    return set(found)


def recorders(unit: str) -> list[str]:
    return [line for line in unit.splitlines() if ">/run/kubeinfra/" in line]


def _recorded(line: str) -> list[str]:
    whole = re.findall(r"sha256sum ([^;]+);", line.split("if [", 1)[0])
    return [*" ".join(whole).split(), *re.findall(r"if \[ -e (\S+) \]", line)]


def told(unit: str) -> Iterator[str]:
    """What its command line and its environment name; a line begins with the program itself."""
    for line in unit.replace("\\\n", " ").splitlines():
        name, _, value = line.partition("=")
        if name == "EnvironmentFile":
            yield value.removeprefix("-")
        elif name == "ExecStart":
            yield from paths_in(value.split(" ", 1)[-1] if " " in value else "")


def paths_in(text: str) -> list[str]:
    return _PATH.findall(re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE))


def closure(names: Iterable[str], files: Mapping[str, str]) -> set[str]:
    """These, and what the texts of those among them name, and so on."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        if (path := waiting.pop()) not in found:
            found.add(path)
            waiting += paths_in(files.get(path, ""))
    return found


def complaints(path: str, unit: str, files: Mapping[str, str]) -> list[str]:
    """+ path: of the unit's file or drop-in"""
    name = next(part for part in path.split("/") if part.endswith((".service", ".service.d"))).removesuffix(".d")
    written, by_itself = recorded(unit), BY_ITSELF.get(name, set())
    wanted = closure([*told(unit), *by_itself], files) - NO_INPUT.get(name, {}).keys()
    wanted |= {path} if path.endswith(".service") else set()
    return [
        *(f"{name} is told of {one}, and does not record it" for one in sorted(wanted - written)),
        *(f"{name} records {one}, which nothing tells it of" for one in sorted(written - wanted)),
    ]


def units(files: Mapping[str, str]) -> dict[str, str]:
    """Path -> text of unit files and drop-ins."""
    return {path: text for path, text in files.items() if "ExecStartPre=" in text}


FRESH = {name: CA.create(name, 10, NOW) for name in ("etcd", "kubernetes", "front-proxy")}
SECRETS = ClusterSecrets(
    cas={"etcd": FRESH["etcd"], "kubernetes": FRESH["kubernetes"], "front-proxy": FRESH["front-proxy"]},
    service_account_key=new_service_account_key(),
    bootstrap_token="0123456789abcdef",
    vrrp_password="hunter2",
)
OLD = CA.create("kubernetes", 10, NOW - timedelta(days=300))
ROTATING = replace(SECRETS, cas={**SECRETS.cas, "kubernetes": replace(FRESH["kubernetes"], others=(OLD.certificate,))})
GUIDES = cluster(GUIDE, virtual_ip=VIRTUAL_IP)
RED_HAT = replace(SEEN, family="redhat", distribution="rocky", software=Software(version="9.4"))
MACHINES = [machine.name for machine in GUIDES.machines]


@pytest.mark.parametrize("seen", [SEEN, RED_HAT], ids=["debian", "redhat"])
@pytest.mark.parametrize("secrets", [SECRETS, ROTATING], ids=["one CA", "two CAs"])
@pytest.mark.parametrize("name", MACHINES)
def test_inputs_are_what_the_process_is_told_of(name: str, secrets: ClusterSecrets, seen: MachineState) -> None:
    files = texts(described(GUIDES, name, secrets, seen))
    found = [one for path, text in units(files).items() for one in complaints(path, text, files)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("seen", [SEEN, RED_HAT], ids=["debian", "redhat"])
def test_inputs_of_the_other_engine(seen: MachineState) -> None:
    files = texts(
        described(cluster(GUIDE, virtual_ip=VIRTUAL_IP, load_balancer_engine="haproxy"), "lb1", SECRETS, seen)
    )
    found = [one for path, text in units(files).items() for one in complaints(path, text, files)]
    assert "/etc/systemd/system/haproxy.service.d/kubeinfra.conf" in units(files)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("proxy", [None, {"https_proxy": "http://p.example.com:3128"}], ids=["direct", "proxy"])
@pytest.mark.parametrize("source", ["upstream", "docker-ce", "distribution"])
@pytest.mark.parametrize("version", ["1.23.17", "1.37.2"])
def test_inputs_of_the_other_runtime(version: str, source: str, proxy: dict[str, str] | None) -> None:
    said = {"kubernetes_version": version, "container_runtime": "containerd", "containerd_source": source}
    files = texts(described(cluster(GUIDE, virtual_ip=VIRTUAL_IP, runtime_proxy=proxy, **said), "n1", SECRETS, SEEN))
    found = [one for path, text in units(files).items() for one in complaints(path, text, files)]
    assert [path for path in units(files) if "/containerd.service" in path]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("resolv_conf", ["nameserver 127.0.0.53\n", "nameserver 127.0.0.1\nnameserver 1.1.1.1\n"])
@pytest.mark.parametrize("systemd", ["nameserver 1.1.1.1\n", "nameserver 127.0.0.1\n", ""])
def test_whatever_pods_get_of_name_servers(resolv_conf: str, systemd: str) -> None:
    seen = replace(SEEN, resolv_conf=resolv_conf, systemd_resolv_conf=systemd)
    files = texts(described(GUIDES, "n1", SECRETS, seen))
    assert [one for path, text in units(files).items() for one in complaints(path, text, files)] == []


@pytest.mark.parametrize("joins", [True, False])
def test_a_token_that_ends_is_an_input_of_a_node_that_joins_only(joins: bool) -> None:
    found = cluster(GUIDE, virtual_ip=VIRTUAL_IP, bootstrap_tokens="secret")
    files = {**texts(described(found, "m1", SECRETS, SEEN)), **texts(described(found, "n1", SECRETS, SEEN, joins))}
    assert [one for path, text in units(files).items() for one in complaints(path, text, files)] == []
    assert ("/opt/kubernetes/cfg/bootstrap.kubeconfig" in files) is joins
    assert "/opt/kubernetes/cfg/token.csv" not in files


def test_every_unit_of_the_cluster_is_looked_at() -> None:
    every = {path for name in MACHINES for path in units(texts(described(GUIDES, name, SECRETS, SEEN)))}
    names = {path.split("/")[4].removesuffix(".d") for path in every}
    own = [etcd.UNIT, *control_plane.UNITS, *node.UNITS, *load_balancer.units(GUIDES), runtime(GUIDES).unit]
    assert names == {*(unit.name for unit in own), "chrony.service"}


def test_each_input_that_is_forgotten_is_found() -> None:
    """And each that is recorded for nothing: the tests above can fail for every single path."""
    for name in MACHINES:
        files = texts(described(GUIDES, name, ROTATING, SEEN))
        for path, text in units(files).items():
            for one in recorded(text):
                without = text
                for line in recorders(text):
                    without = without.replace(line, re.sub(rf"(?<= ){re.escape(one)}(?=[ ;])", "/etc/another", line))
                assert any(f"told of {one}," in found for found in complaints(path, without, files)), (path, one)
            more = text.replace("{ sha256sum ", "{ sha256sum /etc/needless ")
            assert any("records /etc/needless," in found for found in complaints(path, more, files)), path


def test_a_certificate_that_signs_alone_is_an_input_only_while_there_are_two() -> None:
    unit = control_plane.CONTROLLER_MANAGER.file
    one, two = (texts(described(GUIDES, "m1", secrets, SEEN))[unit] for secrets in (SECRETS, ROTATING))
    assert KUBERNETES_SIGNING_CA not in recorded(one)
    assert KUBERNETES_SIGNING_CA in recorded(two)
