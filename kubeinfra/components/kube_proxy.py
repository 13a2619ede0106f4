"""A change of kube-proxy's mode: what the other mode has made in the kernel stays until somebody removes it."""

from __future__ import annotations

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.components.base import Probe
from kubeinfra.components.node import KUBE_PROXY, KUBE_PROXY_CONFIG
from kubeinfra.machine.render import template
from kubeinfra.paths import RUN

# kube_proxy_mode -> what the other one leaves.
_LEFT = {
    "iptables": "kube-ipvs0, which mode ipvs has left with its virtual servers, goes before",
    "ipvs": "the chains KUBE-SVC-..., which mode iptables has left, go before",
}


def other_mode(cluster: Cluster) -> Probe:
    """
    What only kube-proxy's other mode makes is there: the mode changes now, or has been changed by something that left
    it. With virtual servers left, Services that were deleted still answer. Asked of the kernel, not of a marker.
    """
    return Probe(_LEFT[cluster.settings.kube_proxy_mode], _script(cluster, clean=False))


def clean_up(cluster: Cluster) -> str:
    """Shell that removes it, while kube-proxy is stopped; it fails, and says why, if it is still there then."""
    return _script(cluster, clean=True)


def _script(cluster: Cluster, clean: bool) -> str:
    return template(
        "node/other-mode.sh.j2",
        mode=cluster.settings.kube_proxy_mode,
        node_ports=cluster.settings.node_port_range,
        binary=KUBE_PROXY.binary,
        config=KUBE_PROXY_CONFIG,
        inputs=f"{RUN}/{KUBE_PROXY.name}.inputs",
        clean=clean,
    )
