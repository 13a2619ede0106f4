"""A change of kube-proxy's mode: what another mode has made in the kernel stays until somebody removes it."""

from __future__ import annotations

from dataclasses import dataclass

from kubeinfra.cluster.settings import Mode
from kubeinfra.components.base import Here, Probe
from kubeinfra.components.node import KUBE_PROXY, KUBE_PROXY_CONFIG
from kubeinfra.components.proxy_mode import known_modes, proxy_mode
from kubeinfra.machine.render import template
from kubeinfra.paths import RUN

# Mode -> what only it makes.
_LEAVES: dict[Mode, str] = {
    "ipvs": "kube-ipvs0, which mode ipvs has left with its virtual servers, goes before",
    "iptables": "the chains KUBE-SVC-..., which mode iptables has left, go before",
    "nftables": "the tables kube-proxy, which mode nftables has left, go before",
}


@dataclass(frozen=True)
class Left:
    """
    What a mode that is not a node's leaves there.

    + found: it is there: the mode changes now, or has been changed by something that left it. With virtual servers
      left, Services that were deleted still answer. Asked of the kernel, not of a marker
    + clean_up: shell that removes it, while kube-proxy is stopped; it fails, and says why, if it is still there then
    """

    found: Probe
    clean_up: str


def left_by_other_modes(here: Here) -> list[Left]:
    """One for each of the release's other modes."""
    wanted = proxy_mode(here.cluster, here.machine, here.seen)
    others = [mode for mode in known_modes(here.cluster) if mode != wanted]
    return [Left(Probe(_LEAVES[one], _script(here, wanted, one)), _script(here, wanted, one, True)) for one in others]


def _script(here: Here, wanted: Mode, left: Mode, clean: bool = False) -> str:
    return template(
        "node/other-mode.sh.j2",
        wanted=wanted,
        left=left,
        node_ports=here.cluster.settings.node_port_range,
        binary=KUBE_PROXY.binary,
        config=KUBE_PROXY_CONFIG,
        inputs=f"{RUN}/{KUBE_PROXY.name}.inputs",
        clean=clean,
    )
