"""What each component is told, for every minor from 1.20 to 1.37: nothing that it does not know, and what it needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from cluster_samples import ALL, GUIDE, ONE, SEEN, THREE, VIRTUAL_IP, cluster, entry, here, problems

from kubeinfra.checks.swap import NODE_SWAP
from kubeinfra.cluster.cluster import Cluster
from kubeinfra.components import control_plane, flags
from kubeinfra.components.node import KUBELET_CONFIG, describe
from kubeinfra.components.node_objects import NodeObject, changes, wanted
from kubeinfra.components.proxy_mode import known_modes
from kubeinfra.components.runtime.docker import Docker
from kubeinfra.machine.render import static
from kubeinfra.machine.wanted import File
from kubeinfra.paths import FRONT_PROXY_CA, KUBERNETES_CA
from kubeinfra.pki.certificates import FRONT_PROXY_CLIENT
from kubeinfra.releases.catalogue import NEWEST
from kubeinfra.releases.lifetimes import LIFETIMES, Kind, known, lifetime, unknown
from kubeinfra.releases.versions import numbers

EVERY = pytest.mark.parametrize("version", NEWEST.values())
RESOLV_CONF = "/etc/resolv.conf"
MASTER, CONTROL_PLANE = "node-role.kubernetes.io/master", "node-role.kubernetes.io/control-plane"


def guide(version: str, **values: Any) -> Cluster:
    return cluster(GUIDE, virtual_ip=VIRTUAL_IP, kubernetes_version=version, **values)


def told(found: Cluster) -> dict[tuple[Kind, str], list[str]]:
    """Kind and program -> names of the flags, or fields, that it is told."""
    master, node = found.masters[0], found.nodes[0]
    return {
        ("flags", "kube-apiserver"): [*flags.apiserver_flags(found, master)],
        ("flags", "kube-controller-manager"): [*flags.controller_manager_flags(found)],
        ("flags", "kube-scheduler"): [*flags.scheduler_flags(found)],
        ("flags", "kubelet"): [*flags.kubelet_flags(found, node)],
        ("flags", "kube-proxy"): [*flags.kube_proxy_flags()],
        ("fields", "kubelet"): [*flags.kubelet_configuration(found, node, RESOLV_CONF, cgroup_v1=True)],
        ("fields", "kube-proxy"): [
            name for mode in known_modes(found) for name in flags.kube_proxy_configuration(found, node, mode)
        ],
    }


@EVERY
def test_nothing_is_told_that_the_minor_does_not_know(version: str) -> None:
    found = guide(version, swap="off" if numbers(version) < NODE_SWAP else "limited")
    for (kind, program), names in told(found).items():
        if program == "kubelet" and kind == "flags" and found.release.docker_below is None:
            names = [name for name in names if name not in Docker().kubelet_flags(found)]
        gone = [(one.name, one.text) for one in unknown(kind, program, names, found.release.minor)]
        assert not gone, (program, gone)


@EVERY
def test_plain_ports_are_on_the_loopback_as_long_as_a_program_opens_them(version: str) -> None:
    """Of itself the scheduler listens on all interfaces up to 1.22, the controller-manager up to 1.21."""
    found = guide(version)
    minor = found.release.minor
    for last, port, one in (
        ((1, 21), "10252", flags.controller_manager_flags(found)),
        ((1, 22), "10251", flags.scheduler_flags(found)),
    ):
        assert (one.get("address"), one.get("port")) == (("127.0.0.1", port) if minor <= last else (None, None))
        assert (int(port) in {listening.number for listening in control_plane.ports(found)}) is (minor <= last)


@EVERY
@pytest.mark.parametrize("cgroup_v1", [True, False])
def test_a_kubelet_on_cgroup_v1_is_told_to_start_where_it_would_not(version: str, cgroup_v1: bool) -> None:
    found = guide(version)
    document = flags.kubelet_configuration(found, found.nodes[0], RESOLV_CONF, cgroup_v1)
    assert ("failCgroupV1" in document) is (cgroup_v1 and found.release.minor >= (1, 35))
    assert document.get("failCgroupV1", False) is False


@EVERY
def test_an_api_server_that_trusts_the_front_proxy_knows_it_by_name_and_ca(version: str) -> None:
    """From 1.35 on it does not start without a name, if both CAs share a certificate; ours share none."""
    found = flags.apiserver_flags(guide(version), guide(version).masters[0])
    assert found["requestheader-allowed-names"] == FRONT_PROXY_CLIENT
    assert (found["client-ca-file"], found["requestheader-client-ca-file"]) == (KUBERNETES_CA, FRONT_PROXY_CA)
    assert KUBERNETES_CA != FRONT_PROXY_CA


@EVERY
def test_a_master_that_is_a_node_has_the_taints_and_the_role_of_the_minor(version: str) -> None:
    found = cluster(ONE, kubernetes_version=version)
    minor = found.release.minor
    keys = [MASTER] * (minor <= (1, 24)) + [CONTROL_PLANE] * (minor >= (1, 24))
    taints = flags.kubelet_flags(found, found.nodes[0])["register-with-taints"]
    assert taints == ",".join(f"{key}=:NoSchedule" for key in keys)
    (node,) = wanted(found).values()
    assert sorted(map(str, node.taints)) == sorted(f"{key}:NoSchedule" for key in keys)
    assert node.labels == ({} if minor <= (1, 23) else {CONTROL_PLANE: ""})
    assert not node.own_labels, "a role is no setting's"


def test_a_taint_of_an_older_minor_goes_and_the_role_is_put_once() -> None:
    found = cluster(ONE, kubernetes_version=NEWEST["1.25"])
    ((name, node),) = wanted(found).items()
    old = wanted(cluster(ONE))[name]
    assert [one.command for one in changes({name: node}, {name: NodeObject({}, old.taints)})] == [
        f"label node {name} --overwrite {CONTROL_PLANE}=",
        f"taint node {name} --overwrite {CONTROL_PLANE}=:NoSchedule {MASTER}:NoSchedule-",
    ]
    assert changes({name: node}, {name: NodeObject(node.labels, node.taints)}) == []


def test_nodes_that_are_no_masters_have_no_role() -> None:
    assert all(not node.labels for node in wanted(guide(NEWEST["1.37"])).values())


def test_the_audit_policy_is_of_the_one_version_that_all_minors_read() -> None:
    assert yaml.safe_load(static("control_plane/audit-policy.yaml"))["apiVersion"] == "audit.k8s.io/v1"


@pytest.mark.parametrize(
    ("version", "setting", "value", "said"),
    [
        (
            "1.24.0",
            "apiserver_extra_args",
            {"insecure-port": "0"},
            "flag insecure-port, which kube-apiserver of 1.24.0 does not know (known up to 1.23); take it out",
        ),
        (
            "1.26.0",
            "scheduler_extra_args",
            {"logtostderr": "true"},
            "flag logtostderr, which kube-scheduler of 1.26.0 does not know (known up to 1.25); take it out",
        ),
        (
            "1.25.3",
            "controller_manager_extra_args",
            {"experimental-cluster-signing-duration": "1h"},
            "flag experimental-cluster-signing-duration, which kube-controller-manager of 1.25.3 does not know (known "
            "up to 1.24); use cluster-signing-duration instead",
        ),
        (
            "1.31.0",
            "controller_manager_extra_args",
            {"volume-host-cidr-denylist": "10.0.0.0/8"},
            "flag volume-host-cidr-denylist, which kube-controller-manager of 1.31.0 does not know (known up to 1.30); "
            "take it out",
        ),
        (
            "1.20.15",
            "apiserver_extra_args",
            {"authorization-config": "/etc/a.yaml"},
            "flag authorization-config, which kube-apiserver of 1.20.15 does not know (known from 1.29 on); take "
            "it out",
        ),
        (
            "1.24.17",
            "scheduler_extra_args",
            {"feature-gates": "ServiceTopology=true,Other=false"},
            "feature gate ServiceTopology, which kube-scheduler of 1.24.17 does not know (known up to 1.21); use "
            "topology-aware routing instead",
        ),
        (
            "1.25.0",
            "apiserver_extra_args",
            {"enable-admission-plugins": "NodeRestriction,PodSecurityPolicy"},
            "admission plugin PodSecurityPolicy, which kube-apiserver of 1.25.0 does not know (known up to 1.24); use "
            "PodSecurity, which is on by default instead",
        ),
        (
            "1.26.1",
            "kubelet_extra_config",
            {"containerRuntimeEndpoint": "unix:///run/mine.sock"},
            "field containerRuntimeEndpoint, which kubelet of 1.26.1 does not know (known from 1.27 on); take it out",
        ),
        (
            "1.30.0",
            "kubelet_extra_config",
            {"featureGates": {"SeccompDefault": True}},
            "feature gate SeccompDefault, which kubelet of 1.30.0 does not know (known up to 1.28); take it out",
        ),
        (
            "1.28.0",
            "kube_proxy_extra_config",
            {"nftables": {"syncPeriod": "30s"}},
            "field nftables, which kube-proxy of 1.28.0 does not know (known from 1.29 on); take it out",
        ),
    ],
)
def test_a_name_of_the_users_that_the_minor_does_not_know_is_an_error(
    version: str, setting: str, value: dict[str, Any], said: str
) -> None:
    assert list(problems(THREE, kubernetes_version=version, **{setting: value})) == [f"{ALL}: {setting} has the {said}"]


def test_names_that_the_minor_knows_and_names_that_nobody_here_knows_are_the_users_own() -> None:
    own = {"insecure-port": "0", "feature-gates": "RemoveSelfLink=false", "what-ever": "1"}
    assert problems(kubernetes_version="1.23.17", apiserver_extra_args=own) == ()
    assert problems(kubernetes_version="1.37.2", kubelet_extra_config={"failCgroupV1": False}) == ()


def test_the_fields_of_one_machine_are_looked_at_too() -> None:
    own = entry("n3", "192.168.80.15", "node", kubelet_extra_config={"podLogsDir": "/data/pods"})
    (said,) = problems([*GUIDE, own], virtual_ip=VIRTUAL_IP, kubernetes_version="1.29.1")
    assert "the field podLogsDir, which kubelet of 1.29.1 does not know (known from 1.30 on)" in said


@pytest.mark.parametrize(
    ("kind", "program", "name"),
    [(kind, program, name) for kind, all_of in LIFETIMES.items() for program in all_of for name in all_of[program]],
)
def test_a_lifetime_begins_or_ends_within_the_minors_and_has_its_source(kind: Kind, program: str, name: str) -> None:
    found = lifetime(kind, program, name)
    assert found is not None
    assert found.source in ("changelog", "source")
    minors = [numbers(minor) for minor in NEWEST]
    assert found.since or found.until
    assert found.since is None or found.since in minors[1:], "what 1.20 knows needs no `since`"
    assert found.until is None or found.until in minors[:-1], "what the newest knows needs no `until`"
    assert any(found.knows(minor) for minor in minors)


def test_what_is_wanted_of_a_minor_is_what_it_knows() -> None:
    told = {"network-plugin": "cni", "pod-infra-container-image": "a", "v": "2"}
    assert known("flags", "kubelet", told, (1, 23)) == told
    assert known("flags", "kubelet", told, (1, 34)) == {"pod-infra-container-image": "a", "v": "2"}
    assert known("flags", "kubelet", told, (1, 35)) == {"v": "2"}


@pytest.mark.parametrize("cgroup_v2", [True, False])
def test_a_node_describes_its_kubelet_by_what_is_seen_of_its_cgroups(cgroup_v2: bool) -> None:
    found = describe(here(guide("1.37.2"), "n1", replace(SEEN, cgroup_v2=cgroup_v2)))
    (text,) = [one.content for one in found.files if isinstance(one, File) and one.path == KUBELET_CONFIG]
    assert ("failCgroupV1: false" in (text or "")) is not cgroup_v2
