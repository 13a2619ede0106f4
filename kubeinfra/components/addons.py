"""What a cluster needs on top: DNS, and what measures its nodes and pods."""

from __future__ import annotations

from hashlib import sha256

from kubeinfra.components import metrics_server
from kubeinfra.components.base import Component, Here, Probe
from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.components.pods import pods_say
from kubeinfra.machine.render import template
from kubeinfra.machine.wanted import File
from kubeinfra.paths import KUBERNETES_CFG

MANIFEST = f"{KUBERNETES_CFG}/coredns.yaml"
OWNS = (MANIFEST, metrics_server.MANIFEST)
_STATUS = f"{KUBECTL} -n kube-system rollout status deployment/coredns --timeout=2s"
ROLLED_OUT = Probe("CoreDNS is rolled out", _STATUS, 180, why=pods_say("kube-system", "k8s-app=kube-dns"))


def describe(here: Here) -> Component:
    """On the master that applies it."""
    settings = here.settings
    corefile = template("addons/Corefile.j2", cluster_domain=settings.cluster_domain, upstreams=settings.dns_upstreams)
    manifest = template(
        "addons/coredns.yaml.j2",
        image=here.cluster.coredns_image,
        replicas=settings.coredns_replicas,
        dns_address=settings.dns_address,
        corefile=corefile,
        corefile_digest=sha256(corefile.encode()).hexdigest()[:16],
    )
    measures = [metrics_server.manifest(here)] if here.cluster.metrics_server else []
    return Component((File(MANIFEST, manifest), *measures))
