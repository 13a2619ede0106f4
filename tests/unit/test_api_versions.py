"""The API versions that our manifests and configuration files have are served by every release from 1.20 to 1.37."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from cluster_samples import guide

from kubeinfra.components.bootstrap import secret_manifest
from kubeinfra.components.flags import kube_proxy_configuration, kubelet_configuration
from kubeinfra.machine.render import template
from kubeinfra.releases.catalogue import NEWEST

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for part in ("templates", "files", "kubeinfra") for path in (ROOT / part).rglob("*") if path.is_file()]
# API version -> first minor that has it, and first minor that has it no longer (None: 1.37 has it).
# Sources: https://kubernetes.io/docs/reference/using-api/deprecation-guide/ and the changelog of each minor.
SERVED: dict[str, tuple[int, int | None]] = {
    "v1": (0, None),
    "admissionregistration.k8s.io/v1": (16, None),
    "apiextensions.k8s.io/v1": (16, None),
    "apiregistration.k8s.io/v1": (10, None),
    "apiregistration.k8s.io/v1beta1": (7, 22),
    "apps/v1": (9, None),
    "audit.k8s.io/v1": (12, None),
    "audit.k8s.io/v1beta1": (8, 24),
    "batch/v1": (21, None),  # of a CronJob
    "batch/v1beta1": (8, 25),
    "certificates.k8s.io/v1": (19, None),
    "certificates.k8s.io/v1beta1": (4, 22),
    "client.authentication.k8s.io/v1": (22, None),
    "client.authentication.k8s.io/v1beta1": (11, None),
    "coordination.k8s.io/v1": (14, None),
    "discovery.k8s.io/v1": (21, None),
    "discovery.k8s.io/v1beta1": (17, 25),
    "flowcontrol.apiserver.k8s.io/v1": (29, None),
    "kubelet.config.k8s.io/v1beta1": (10, None),
    "kubeproxy.config.k8s.io/v1alpha1": (9, None),
    "kubescheduler.config.k8s.io/v1": (25, None),
    "kubescheduler.config.k8s.io/v1beta2": (22, 28),
    "kubescheduler.config.k8s.io/v1beta3": (23, 29),
    "networking.k8s.io/v1": (19, None),
    "node.k8s.io/v1": (20, None),
    "policy/v1": (21, None),
    "policy/v1beta1": (5, 25),
    "rbac.authorization.k8s.io/v1": (8, None),
    "rbac.authorization.k8s.io/v1beta1": (6, 22),
    "scheduling.k8s.io/v1": (14, None),
    "storage.k8s.io/v1": (6, None),
}
NOW = datetime(2026, 11, 26, tzinfo=UTC)
_VERSION = re.compile(r"""apiVersion["']?: ["']?([\w./]+)""")


def versions(text: str) -> set[str]:
    """Every value of apiVersion in it, as YAML, JSON or Python."""
    return set(_VERSION.findall(text))


def wrong(found: set[str], minor: int) -> set[str]:
    """Those that this minor of Kubernetes 1 does not serve, or of which nothing is known."""
    unknown = (minor + 1, None)
    return {
        one for one in found for since, until in [SERVED.get(one, unknown)] if minor < since or minor >= (until or 99)
    }


OURS = {path: found for path in SOURCES if (found := versions(path.read_text(errors="replace")))}


def test_every_manifest_is_looked_at() -> None:
    names = {path.name for path in OURS}
    assert {"coredns.yaml.j2", "metrics-server.yaml.j2", "kube-flannel.yaml.j2", "rbac.yaml.j2"} <= names
    assert {"audit-policy.yaml", "traffic.yaml.j2", "machines.yaml.j2"} <= names
    assert {"flags.py", "bootstrap.py", "kubeconfig.py"} <= names


@pytest.mark.parametrize("minor", NEWEST)
def test_every_release_serves_the_api_versions_that_we_use(minor: str) -> None:
    number = int(minor.partition(".")[2])
    found = {path.name: one for path, every in OURS.items() if (one := wrong(every, number))}
    assert not found, f"not served by {minor}: {found}"


@pytest.mark.parametrize(
    ("line", "minors"),
    [
        ("apiVersion: policy/v1", {20}),
        ('"apiVersion": "apiregistration.k8s.io/v1beta1",', set(range(22, 38))),
        ("apiVersion: made.up/v1", set(range(20, 38))),
        ("apiVersion: v1", set()),
    ],
)
def test_another_api_version_is_found(line: str, minors: set[int]) -> None:
    assert {minor for minor in range(20, 38) if wrong(versions(line), minor)} == minors


def test_what_the_code_makes_is_what_its_text_says() -> None:
    """The search above reads sources, not results: these are the ones that Python puts together."""
    found = guide()
    made = [
        kubelet_configuration(found, found.nodes[0], "/etc/resolv.conf"),
        kube_proxy_configuration(found, found.nodes[0], "ipvs"),
        yaml.safe_load(secret_manifest("a.b", "", NOW)),
    ]
    assert {one["apiVersion"] for one in made} <= set().union(*OURS.values())


NAMESPACES = {"kube-flannel": "network/kube-flannel.yaml.j2", "kubeinfra-verify": "verify/traffic.yaml.j2"}


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_namespace_with_pods_in_the_network_of_their_machines_says_so(namespace: str) -> None:
    """PodSecurity admission, where an administrator has set a stricter default (1.23 and newer)."""
    flannel = {
        "cluster_cidr": "10.244.0.0/16",
        "backend": "vxlan",
        "backend_options": {},
        "cni_config_version": "0.3.1",
    }
    text = template(NAMESPACES[namespace], image="a/b:1", cni_plugin_image="a/c:1", **flannel)
    (found,) = (one for one in yaml.safe_load_all(text) if one and one["kind"] == "Namespace")
    assert found["metadata"]["name"] == namespace
    assert found["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
