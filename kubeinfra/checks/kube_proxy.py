"""Whether kube-proxy can have the mode that was asked for, and why a node has not the one that is best."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.proxy_mode import NFTABLES, choices, hindrance, known_modes, proxy_mode
from kubeinfra.findings import Finding
from kubeinfra.machine.state import MachineState


def kube_proxy_mode_is_known(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    asked, version = cluster.settings.kube_proxy_mode, cluster.settings.kubernetes_version
    known = known_modes(cluster)
    if asked and asked not in known:
        yield (
            f"{where('kube_proxy_mode')}: kube_proxy_mode is {asked}, which kube-proxy has from Kubernetes "
            f"{'.'.join(map(str, NFTABLES))} on, and kubernetes_version is {version}: take {' or '.join(known)}"
        )


def kube_proxy_mode(cluster: Cluster, machine: Machine, found: MachineState) -> Iterator[Finding]:
    if "node" not in machine.groups:
        return
    asked = cluster.settings.kube_proxy_mode
    if asked and (reason := hindrance(asked, cluster, machine, found)):
        yield _refused(asked, reason, cluster, machine, found)
    elif not asked and (mode := proxy_mode(cluster, machine, found)) != choices(cluster)[0]:
        better = choices(cluster)[: choices(cluster).index(mode)]
        yield Finding(
            "kube-proxy-mode",
            machine.name,
            "note",
            f"kube-proxy is in mode {mode} here, not {' or '.join(better)}",
            "; ".join(hindrance(one, cluster, machine, found) for one in better),
            joints=(": ", "; "),
        )


def _refused(asked: str, reason: str, cluster: Cluster, machine: Machine, found: MachineState) -> Finding:
    able = next(mode for mode in choices(cluster) if not hindrance(mode, cluster, machine, found))
    module = (
        "install the kernel's package that has it (linux-modules-extra-$(uname -r), kernel-modules-extra), or "
        if asked == "ipvs"
        else ""
    )
    return Finding(
        "kube-proxy-mode",
        machine.name,
        "error",
        f"kube-proxy would not start with kube_proxy_mode {asked}",
        reason,
        f"{module}take kube_proxy_mode out of group_data/all.py: then this node has mode {able}",
        joints=(": ", "; "),
    )
