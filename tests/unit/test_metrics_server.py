"""metrics-server: where it listens, whom it believes, and when the cluster counts as measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_samples import GUIDE, ONE, THREE, VIRTUAL_IP, cluster, guide, here
from local_machine import program, shell

from kubeinfra.checks.listeners import free_ports
from kubeinfra.cluster.cluster import Cluster
from kubeinfra.components import addons, metrics_server
from kubeinfra.components.artifacts_needed import node_images
from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.components.ports import ports
from kubeinfra.health.questions import METRICS, parse_answer, probes
from kubeinfra.machine.survey import Listener, Process, Survey
from kubeinfra.pki.ca import CA
from kubeinfra.pki.secrets import ClusterSecrets

ON: dict[str, Any] = {"metrics_server": True}
STACKED = [replace(entry, groups=entry.groups | {"node"}) for entry in GUIDE]


def documents(found: Cluster, ca: CA | None = None) -> dict[str, dict[str, Any]]:
    """Kind -> document of the manifest; of several of a kind the last."""
    secrets = ClusterSecrets({"etcd": None, "front-proxy": None, "kubernetes": ca or CA.create("kubernetes-ca", 1)})
    text = metrics_server.manifest(replace(here(found, "m1"), secrets=secrets)).content
    return {one["kind"]: one for one in yaml.safe_load_all(text or "") if one}


def pod(found: Cluster, ca: CA | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = documents(found, ca)["Deployment"]["spec"]["template"]["spec"]
    return spec


def test_the_guides_cluster_has_none() -> None:
    found = guide()
    assert not found.metrics_server
    assert [one.path for one in addons.describe(here(found, "m1")).files] == [addons.MANIFEST]
    assert found.metrics_server_image not in node_images(found)
    assert METRICS not in {component for component, _, _ in probes(here(found, "m1"), True)}
    assert not metrics_server.ports(found)


def test_a_setting_adds_it_with_its_image_and_its_question() -> None:
    found = guide(**ON)
    assert [one.path for one in addons.describe(here(found, "m1")).files] == [addons.MANIFEST, metrics_server.MANIFEST]
    assert found.metrics_server_image in node_images(found)
    asked = {name: [one for one, _, _ in probes(here(found, name), False)] for name in ("m1", "m2", "n1")}
    assert {name: METRICS in said for name, said in asked.items()} == {"m1": True, "m2": True, "n1": False}
    assert pod(guide(**ON, metrics_server_image="a/b:1"))["containers"][0]["image"] == "a/b:1"


def test_a_plan_of_a_new_cluster_has_no_ca_to_show_yet() -> None:
    assert metrics_server.manifest(here(guide(**ON), "m1")).content is None


def test_kubelets_are_verified_by_the_clusters_ca() -> None:
    ca = CA.create("kubernetes-ca", 1)
    found, container = documents(guide(**ON), ca), pod(guide(**ON), ca)["containers"][0]
    assert found["ConfigMap"]["data"] == {"kubelet-ca.pem": ca.bundle_pem}
    assert "--kubelet-certificate-authority=/etc/metrics-server/kubelet-ca.pem" in container["args"]
    assert not [one for one in container["args"] if "insecure" in one]


def test_another_ca_starts_its_pod_again() -> None:
    template = [documents(guide(**ON), CA.create("kubernetes-ca", 1))["Deployment"]["spec"] for _ in range(2)]
    assert template[0]["template"]["metadata"] != template[1]["template"]["metadata"]


@pytest.mark.parametrize(
    ("entries", "on_host"), [(GUIDE, True), (THREE, True), (ONE, False), (STACKED, False)], ids=str
)
def test_it_is_in_the_network_of_its_node_where_a_master_reaches_no_pods(entries: Any, on_host: bool) -> None:
    found = cluster(entries, **({"virtual_ip": VIRTUAL_IP} if len(entries) > 3 else {}), **ON, load_balancer_port=8443)
    spec = documents(found)["Deployment"]["spec"]
    (port,) = pod(found)["containers"][0]["ports"]
    assert pod(found).get("hostNetwork", False) is on_host
    assert f"--secure-port={port['containerPort']}" in pod(found)["containers"][0]["args"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == (1 if on_host else 0), "one port, one pod"
    listening = {one.number: one.sources for one in ports(found)["node"]}
    assert (listening.get(port["containerPort"]) == ("masters",)) is on_host
    assert listening[10250] == ("masters", "nodes (metrics-server)")


def test_its_port_may_be_its_own() -> None:
    found = guide(**ON)

    def told(name: str) -> list[str]:
        process = Process(7, f"/{name}", "0::/kubepods", name)
        survey = Survey(listeners=(Listener("tcp", "*", metrics_server.PORT, (7,)),), processes=(process,))
        state = replace(here(found, "n1").seen, survey=survey)
        return [one.found for one in free_ports(found, found.machine("n1"), state)]

    assert told("metrics-server") == []
    assert len(told("nginx")) == 1


def answers(directory: Path, theirs: str, nodes: str) -> tuple[int, str]:
    """What a master says whose kubectl gives the services of others, and these metrics."""
    program(directory, "kubectl", f"case $* in *apiservices*) printf '%s' '{theirs}' ;; *--raw*) {nodes} ;; esac")
    done = shell(metrics_server.answers(guide().nodes).replace(KUBECTL, "kubectl"), programs=directory)
    return done.returncode, done.stdout.strip()


def metrics(*names: str) -> str:
    items = ",".join(f'{{"metadata":{{"name":"{name}"}},"usage":{{}}}}' for name in names)
    return f"echo '{items}'"


def test_all_nodes_must_be_measured(tmp_path: Path) -> None:
    assert answers(tmp_path, "", metrics("192.168.80.11", "192.168.80.12")) == (0, "measured")
    assert answers(tmp_path, "", metrics("192.168.80.11", "192.168.80.121")) == (1, "no metrics of node 192.168.80.12")
    assert answers(tmp_path, "", "exit 1")[0] == 1


def test_what_others_serve_is_noted_and_stays(tmp_path: Path) -> None:
    code, said = answers(tmp_path, "monitoring/adapter", "exit 1")
    row = parse_answer(METRICS, "m1", str(code), said)
    assert (row.healthy, row.note) == (True, True)
    assert row.detail.startswith("served by monitoring/adapter, which is not ours")
    assert shell(metrics_server.THEIRS.replace(KUBECTL, "kubectl"), programs=tmp_path).returncode == 0


def test_without_others_the_manifest_is_ours_to_apply(tmp_path: Path) -> None:
    program(tmp_path, "kubectl", "exit 0")
    assert shell(metrics_server.THEIRS.replace(KUBECTL, "kubectl"), programs=tmp_path).returncode != 0
