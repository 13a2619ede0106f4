"""
The mode of kube-proxy on a node: the one that was asked for, or the best that the release knows and the node can.

It is decided for each node, as kube-proxy itself does: so it depends on nothing but the release, the settings and that
machine. One mode for the whole cluster would change on every node when one with an old kernel joins, and would be
another in a run with --limit, which does not see them all.
"""

from __future__ import annotations

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.cluster.settings import MODES, Mode
from kubeinfra.components.platforms import find
from kubeinfra.machine.state import MachineState

# Source: kubernetes/CHANGELOG of 1.26 (ipvs does not fall back to iptables any more), 1.31 (NFTablesProxyMode is beta,
# and on) and 1.33 (it is stable).
NO_FALL_BACK = (1, 26)
NFTABLES = (1, 31)
NFTABLES_STABLE = (1, 33)
# Source: kube-proxy's pkg/proxy/nftables/supported.go of 1.33 to 1.37.
KERNEL = (5, 13)
NFT = (1, 0, 1)


def known_modes(cluster: Cluster) -> tuple[Mode, ...]:
    """Modes that kube-proxy of this release has."""
    return tuple(mode for mode in MODES if mode != "nftables" or cluster.release.minor >= NFTABLES)


def choices(cluster: Cluster) -> tuple[Mode, ...]:
    """Modes among which a node takes the first that it can; up to 1.25 kube-proxy itself falls back to iptables."""
    if cluster.release.minor >= NFTABLES_STABLE:
        return "nftables", "ipvs", "iptables"
    return ("ipvs", "iptables") if cluster.release.minor >= NO_FALL_BACK else ("ipvs",)


def proxy_mode(cluster: Cluster, machine: Machine, seen: MachineState) -> Mode:
    """The mode of kube-proxy there."""
    if asked := cluster.settings.kube_proxy_mode:
        return asked
    return next(mode for mode in choices(cluster) if not hindrance(mode, cluster, machine, seen))


def is_ipvs(cluster: Cluster, machine: Machine, seen: MachineState) -> bool:
    """Whether kube-proxy really is in mode ipvs there: up to 1.25 it falls back to iptables without the module."""
    return proxy_mode(cluster, machine, seen) == "ipvs" and bool(seen.survey.ip_vs)


def hindrance(mode: Mode, cluster: Cluster, machine: Machine, seen: MachineState) -> str:
    """Why kube-proxy would not start with this mode there, in a clause; "" if it does."""
    if mode == "nftables":
        return _kernel_is_older(seen) or _nft_is_older(cluster, machine, seen)
    if mode == "ipvs" and cluster.release.minor >= NO_FALL_BACK and seen.survey.ip_vs is False:
        return f"its kernel, {seen.survey.kernel}, has no module ip_vs"
    return ""


def _kernel_is_older(seen: MachineState) -> str:
    if seen.kernel and seen.kernel >= KERNEL:
        return ""
    return f"its kernel is {seen.survey.kernel or 'unknown'}, and nftables needs {KERNEL[0]}.{KERNEL[1]} or newer"


def _nft_is_older(cluster: Cluster, machine: Machine, seen: MachineState) -> str:
    needs = f"nftables needs {'.'.join(map(str, NFT))} or newer"
    if seen.survey.nft_version is not None:
        has = ".".join(map(str, seen.survey.nft_version)) or "of an unknown version"
        return "" if seen.survey.nft_version >= NFT else f"its nft is {has}, and {needs}"
    platform = find(seen, cluster.settings_of(machine))
    return "" if platform and platform.nftables else f"its distribution has no nft that is new enough, and {needs}"
