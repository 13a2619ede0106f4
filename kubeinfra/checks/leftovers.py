"""What an earlier life left on a machine: another cluster's data, drop-ins, network configuration and processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kubeinfra.checks.base import Seen, is_set_up, new_groups
from kubeinfra.checks.listeners import is_ours
from kubeinfra.checks.networks import OWN_INTERFACES
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.base import Unit
from kubeinfra.components.runtime import CONTAINER_CGROUPS
from kubeinfra.findings import EXPLAINED, Finding, Level
from kubeinfra.machine.state import MachineState
from kubeinfra.machine.survey import EtcdData
from kubeinfra.paths import CNI_CONF, ETCD_CA, ETCD_DATA

Findings = Iterator[Finding]
CNI_FILE = "10-flannel.conflist"
# Settings of a drop-in with which the unit is no longer ours; Environment is none, as a proxy is set with it.
_REPLACES = {"ExecStart", "ExecStartPre", "EnvironmentFile", "User", "Type", "RootDirectory"}
_GROUPS_OF_UNITS = {"etcd.service": "etcd"} | dict.fromkeys(
    ("kubelet.service", "kube-proxy.service", "containerd.service"), "node"
)
_GROUPS_OF_PROCESSES = {
    "etcd": ("etcd",),
    "kubelet": ("node",),
    "kube-proxy": ("node",),
    **dict.fromkeys(("kube-apiserver", "kube-controller", "kube-scheduler"), ("master",)),
    **dict.fromkeys(("k3s", "k3s-server", "k3s-agent", "rke2", "kubelite"), ("master", "node", "etcd")),
}
# Beginning of a path, of a chain's name -> who makes it; the first that fits.
_MAKERS = {
    "/etc/kubernetes": "kubeadm",
    "/var/lib/kubelet": "kubeadm",
    "/var/lib/rancher/rke2": "rke2",
    "/var/lib/rancher": "k3s",
    "/run/k3s": "k3s",
    "/etc/rancher": "k3s or rke2",
    "/var/lib/k0s": "k0s",
    "/etc/calico": "calico",
    "/var/lib/calico": "calico",
    "/run/calico": "calico",
    "/run/cilium": "cilium",
    "/var/lib/weave": "weave",
    "KUBE-ROUTER": "kube-router",
    "KUBE-NWPLCY": "kube-router",
    "KUBE-": "kube-proxy",
    "cali-": "calico",
    "CILIUM_": "cilium",
    "WEAVE": "weave",
    "FLANNEL": "flannel",
    "ANTREA": "antrea",
}
_OURS = ("KUBE-", "FLANNEL", "/var/lib/kubelet")  # once the machine is set up
_REBOOT = "remove what made it, and reboot"
# Interfaces of other CNI plugins; those that change what happens to all packets, and those that only lie about.
_IN_THE_WAY = ("cilium_", "kube-bridge")
_IDLE = (
    "cali",
    "vxlan.calico",
    "wireguard.cali",
    "bpfin.cali",
    "weave",
    "vxlan-6784",
    "lxc_",
    "antrea",
    "ovn-",
    "nodelocaldns",
)


def etcd_data(seen: Seen) -> Findings:
    """etcd takes over the data that it finds; without a CA of ours next to it, they are another cluster's."""
    identity = seen.kept.identity if seen.kept else None
    recorded = identity.etcd_cluster_id if identity else None
    for machine, found in seen.machines:
        for data in found.survey.etcd_data:
            is_in_our_place = data.path == ETCD_DATA and "etcd" in machine.groups
            if data.path == ETCD_DATA and ("etcd" in found.cas or (recorded and data.cluster == recorded)):
                continue
            if data.path.startswith(f"{ETCD_DATA}."):
                continue  # put aside, by a restore or as advised here
            cluster = f"of cluster {data.cluster}" if data.cluster else "of a cluster whose id cannot be read"
            yield Finding(
                "etcd-data",
                machine.name,
                "error" if is_in_our_place else "warning",
                f"{data.path} has data of another etcd, {cluster}, last written {_age(data)} ago",
                f"it has no CA at {ETCD_CA}" if is_in_our_place else "",
                f"if they are this cluster's, put its CA back. If nobody needs them, and no etcd runs: mv {data.path} "
                f"{data.path}.old"
                if is_in_our_place
                else f"nothing here uses them; if nobody else does: rm -r {data.path}/member",
                joints=EXPLAINED,
            )


def _age(data: EtcdData) -> str:
    for unit, seconds in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if data.age >= seconds:
            count = data.age // seconds
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{max(data.age, 0)} s"


def drop_ins(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """Of units whose file is ours as a whole; a drop-in that only sets limits, or is in use already, stays."""
    brings_containerd = cluster.container_runtime == "containerd" and cluster.settings.containerd_source == "upstream"
    for one in found.survey.drop_ins:
        group = _GROUPS_OF_UNITS.get(one.unit, "master")
        is_ours = one.unit != "containerd.service" or brings_containerd
        if group not in machine.groups or not is_ours or one.path == Unit(one.unit).drop_in:
            continue
        replaced = sorted(_REPLACES & set(one.keys))
        remedy = f"see that it is meant for this cluster, or rm {one.path}"
        if replaced:
            remedy = (
                f"remove what brought it (of kubeadm: its packages), or rm {one.path}; then systemctl daemon-reload"
            )
        yield Finding(
            "unit-drop-ins",
            machine.name,
            "error" if replaced and group in new_groups(machine, found) else "warning",
            f"{one.path} sets {', '.join(replaced or one.keys) or 'nothing'} of {one.unit}, a unit of this deploy",
            remedy=remedy,
        )


def cni_configuration(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """The kubelet takes the first file, in the order of their names; that of a node that serves has done so."""
    if "node" not in machine.groups:
        return
    level: Level = "error" if "node" in new_groups(machine, found) else "warning"
    for name in found.survey.cni:
        if name == CNI_FILE:
            continue
        is_first = name < CNI_FILE
        yield Finding(
            "cni-configuration",
            machine.name,
            level if is_first else "note",
            f"{CNI_CONF}/{name} of another CNI plugin comes {'before' if is_first else 'after'} {CNI_FILE}"
            f"{', and the kubelet takes the first' if is_first else ''}",
            remedy=f"mv {CNI_CONF}/{name} /root/{name}.old" if is_first else "it is not used",
        )


def other_clusters(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """
    Processes of another Kubernetes or etcd; what is in a container is somebody's pod.

    Next to components of ours that serve, it does no harm by itself (Patroni may have an etcd of its own on other
    ports); a port of ours that it takes is told by `free_ports`.
    """
    told = set()
    for process in found.survey.processes:
        groups = _GROUPS_OF_PROCESSES.get(process.name)
        if groups is None or is_ours(found.survey, process) or process.name in told:
            continue
        if any(word in process.cgroup for word in CONTAINER_CGROUPS):
            continue
        told.add(process.name)
        level: Level = "error" if new_groups(machine, found) & set(groups) else "warning"
        stop = (
            f"systemctl disable {process.unit}; systemctl stop {process.unit}"
            if process.unit
            else f"stop process {process.pid}"
        )
        yield Finding(
            "other-clusters",
            machine.name,
            level,
            f"another {process.name} runs ({process.exe or f'process {process.pid}'}"
            f"{', ' + process.unit if process.unit else ''})",
            remedy=f"{stop} and remove what brought it, or take a machine that no other cluster uses",
        )


def interfaces(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """flannel and kube-proxy take over interfaces of the same names, with the addresses that they have."""
    if "node" not in machine.groups:
        return
    for name in (link.name for link in found.survey.links):
        is_ours_elsewhere = name in OWN_INTERFACES
        if (is_ours_elsewhere and is_set_up(found)) or not (
            is_ours_elsewhere or name.startswith((*_IN_THE_WAY, *_IDLE))
        ):
            continue
        in_the_way = not is_set_up(found) and not name.startswith(_IDLE)
        yield Finding(
            "left-over-interfaces",
            machine.name,
            "error" if in_the_way else "warning",
            f"interface {name} is left over from another cluster",
            remedy=f"ip link delete {name}, or reboot, once what made it is removed",
        )


def files(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """Certificates and data of another cluster: ours does not read them, and who has the machine has them too."""
    if found.survey.left_files:
        yield Finding(
            "left-over-files",
            machine.name,
            "warning",
            f"there are files of another cluster: {', '.join(map(_with_maker, found.survey.left_files))}",
            remedy="nothing here uses them; if nobody else does, remove them with what made them (kubeadm reset, "
            "k3s-uninstall.sh, rke2-uninstall.sh) or with rm -r",
        )


def mounts(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """Volumes and pods' networks; our kubelet works below /var/lib/kubelet too, and does not remove what is mounted."""
    left = {place: count for place, count in found.survey.mounts.items() if not (is_set_up(found) and place in _OURS)}
    if left:
        below = "/var/lib/kubelet" in left and "node" in machine.groups
        yield Finding(
            "left-over-mounts",
            machine.name,
            "error" if below else "warning",
            f"there are mounts of another cluster: {_counted(left)}",
            remedy=_REBOOT,
        )


def chains(cluster: Cluster, machine: Machine, found: MachineState) -> Findings:
    """Rules for Services and pods that are no more; cilium's and kube-router's are about all packets."""
    left = {name: count for name, count in found.survey.chains.items() if not (is_set_up(found) and name in _OURS)}
    if left and "node" in machine.groups:
        in_the_way = not is_set_up(found) and left.keys() & {"CILIUM_", "KUBE-ROUTER", "KUBE-NWPLCY"}
        yield Finding(
            "left-over-rules",
            machine.name,
            "error" if in_the_way else "warning",
            f"there are iptables chains of another cluster: {_counted(left)}",
            remedy=_REBOOT,
        )


def _with_maker(path: str) -> str:
    maker = next((maker for begin, maker in _MAKERS.items() if path.startswith(begin)), "")
    return f"{path} ({maker})" if maker else path


def _counted(left: Mapping[str, int]) -> str:
    return ", ".join(f"{count} at {_with_maker(place)}" for place, count in sorted(left.items()))
