"""A cluster that serves: what preflight finds there is of its own making, or has done no harm so far."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster_samples import guide
from survey_samples import State, machine, told

from kubeinfra.checks.base import Kept, Seen
from kubeinfra.checks.listeners import free_ports
from kubeinfra.checks.networks import networks
from kubeinfra.cluster.cluster import Cluster
from kubeinfra.controller.identity import Identity, known
from kubeinfra.findings import Finding
from kubeinfra.machine.state import MachineState

STAY = "the networks of a running cluster stay"
SET_UP = {"cas": {"kubernetes": "", "etcd": ""}}


def kept(cluster: Cluster, etcd_cluster_id: str | None) -> Kept:
    identity = Identity(machines=known(cluster.machines), etcd_cluster_id=etcd_cluster_id)
    return Kept(Path("there"), Path("there/cluster.json"), identity, {}, ())


def seen(cluster: Cluster, own: dict[str, MachineState], etcd_cluster_id: str | None = None) -> list[Finding]:
    return list(networks(Seen(cluster, own, kept(cluster, etcd_cluster_id))))


def in_services(**given: object) -> MachineState:
    """A machine with a second interface in the default service_cidr."""
    return machine("n1", [], ["eth1 10.0.0.5/24"], **given)


def test_load_balancers_and_members_of_a_running_cluster_are_only_warned() -> None:
    """They have no CA of Kubernetes that tells it."""
    cluster = guide()
    own = {"lb1": in_services(), "m1": in_services(), "n1": machine("n1", [], (), **SET_UP)}
    found = seen(cluster, own)
    assert [(one.machine, one.level) for one in found] == [("m1", "warning"), ("lb1", "warning")]
    assert all(one.remedy.startswith(STAY) for one in found)


def test_a_new_node_is_refused_with_a_remedy_that_does_not_change_the_networks() -> None:
    (found,) = seen(guide(), {"n2": in_services(), "n1": machine("n1", [], (), **SET_UP)})
    assert (found.machine, found.level) == ("n2", "error")
    assert found.remedy.startswith(STAY)


def test_a_cluster_runs_also_if_only_the_controller_tells() -> None:
    """As with --limit on machines that are not set up."""
    own = {"lb1": in_services(), "n2": in_services()}
    assert [(one.machine, one.level) for one in seen(guide(), own, "cdf8")] == [("n2", "error"), ("lb1", "warning")]
    assert all(one.remedy.startswith(STAY) for one in seen(guide(), own, "cdf8"))
    new = seen(guide(), own)
    assert {one.level for one in new} == {"error"} and not [one for one in new if STAY in one.remedy]


def test_what_a_machine_reaches_matters_on_nodes_only() -> None:
    says = ["nameserver 10.0.0.2", "time-server 10.0.0.9", "proxy 10.0.0.7:3128", "route 10.0.0.0/24 via 192.168.80.2"]
    own = {name: machine("n1", says, ()) for name in ("m1", "lb1", "n1")}
    assert {one.machine for one in seen(guide(), own)} == {"n1"}


DROP_IN = "drop-in /etc/systemd/system/{}.service.d/x.conf {}"
HARMLESS = {
    "a drop-in": DROP_IN.format("kubelet", "ExecStart"),
    "a drop-in of etcd": DROP_IN.format("etcd", "User"),
    "a CNI file": "cni 05-cilium.conflist",
    "an etcd": "process 9|/usr/bin/etcd|/system.slice/patroni-etcd.service|etcd",
    "a kubelet": "process 9|/usr/bin/kubelet|/system.slice/other.service|kubelet",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_others_left_on_a_machine_that_serves_is_a_warning(name: str) -> None:
    lines = [HARMLESS[name]]
    ((_, level),) = told(State({}, []), {"n1": machine("n1", lines, (), **SET_UP)})
    assert level == "warning"
    ((_, level),) = told(State({}, []), {"n1": machine("n1", lines, ())})
    assert level == "error"


def test_a_member_that_becomes_a_node_is_still_refused_for_what_is_in_the_way_of_a_node() -> None:
    member = machine("n1", [*HARMLESS.values()], (), cas={"etcd": ""})
    levels = {sentence[:40]: level for sentence, level in told(State({}, []), {"n1": member})}
    assert sorted(levels.values()) == ["error", "error", "error", "warning", "warning"]


def test_an_environment_of_a_unit_is_only_told() -> None:
    """Such as a proxy's, or GOMAXPROCS."""
    ((sentence, level),) = told(State({}, []), {"n1": machine("n1", [DROP_IN.format("kubelet", "Environment")], ())})
    assert sentence.startswith("n1: /etc/systemd/system/kubelet.service.d/x.conf sets Environment of kubelet.service, ")
    assert level == "warning"


def test_components_below_a_link_are_ours() -> None:
    """/proc/PID/exe names the place where /opt leads to."""
    lines = [
        'listen tcp *:10250 users:(("kubelet",pid=5,fd=9))',
        "process 5|/data/opt/kubernetes/bin/kubelet (deleted)|/system.slice/kubelet.service|kubelet",
    ]
    assert told(State({}, []), {"n1": machine("n1", [*lines, "binaries /data/opt/kubernetes/bin"], ())}) == []
    assert len(told(State({}, []), {"n1": machine("n1", lines, ())})) == 2


@pytest.mark.parametrize(
    ("on", "port", "name", "is_told"),
    [
        ("n1", 10250, "nginx", True),
        ("n1", 8081, "flanneld", False),
        ("n1", 10250, "keepalived", True),
        ("lb1", 6443, "nginx", False),
        ("lb1", 6443, "haproxy", False),
        ("lb1", 6443, "flanneld", True),
    ],
)
def test_a_name_is_ours_on_the_ports_of_its_group_only(on: str, port: int, name: str, is_told: bool) -> None:
    lines = [f'listen tcp *:{port} users:(("{name}",pid=5,fd=9))', f"process 5|/usr/sbin/{name}|/x.service|{name}"]
    cluster = guide()
    found = list(free_ports(cluster, cluster.machine(on), machine("n1", lines, ())))
    assert bool(found) == is_told
