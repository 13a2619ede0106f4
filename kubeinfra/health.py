"""What tells that a cluster is well: the questions for each machine, and how the answers read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from shlex import quote

from kubeinfra.cluster import Cluster, Machine
from kubeinfra.flags import CA, KUBELET_CLIENT_PEM
from kubeinfra.render import template


@dataclass(frozen=True)
class Row:
    """One line of the table: what was asked of whom, whether it is well, and what it said."""

    component: str
    subject: str
    well: bool
    detail: str


def probes(cluster: Cluster, machine: Machine, kubectl: str) -> list[tuple[str, str, str]]:
    """Component, subject and shell command for everything to be asked on this machine."""
    asked = []
    if member := cluster.etcd_member(machine.name):
        endpoint = f"ETCDCTL_ENDPOINTS={member.client_url} /usr/local/bin/etcdctl"
        healthy = f'words=$({endpoint} endpoint health 2>&1) || {{ echo "$words"; exit 1; }}'
        asked.append(("etcd", member.name, f"{healthy}; {endpoint} endpoint status -w json"))
    if "master" in machine.groups:
        asked.append(("kube-apiserver", machine.name, f"{kubectl} get --raw /readyz"))
        for name, port in (("kube-controller-manager", 10257), ("kube-scheduler", 10259)):
            asked.append((name, machine.name, f"curl -sS --insecure --max-time 5 https://127.0.0.1:{port}/healthz"))
    if machine == cluster.masters[0]:
        leases = "kube-controller-manager kube-scheduler"
        holders = "{range .items[*]}{.metadata.name}={.spec.holderIdentity} {end}"
        asked.append(("leases", "leaders", f"{kubectl} -n kube-system get lease {leases} -o jsonpath={quote(holders)}"))
        fields = '{.status.conditions[?(@.type=="Ready")].status} {.status.nodeInfo.kubeletVersion} {.spec.podCIDR}'
        for node in cluster.nodes:
            asked.append(("node", node.node_name, f"{kubectl} get node {node.node_name} -o jsonpath={quote(fields)}"))
    if "node" in machine.groups:
        asked.append(("pod network", machine.name, pod_network(cluster, machine)))
        if cluster.settings.flannel_backend == "vxlan":
            asked.append(("flannel.1", machine.name, "ip -brief address show flannel.1"))
    return asked


def pod_network(cluster: Cluster, machine: Machine, move: bool = False) -> str:
    """Shell that succeeds where flannel and the pods' bridge have the network of the Node; `move` puts them there."""
    return template(
        "network/pod-network.sh.j2",
        ask=as_node(cluster, f"/api/v1/nodes/{machine.node_name}"),
        node=machine.node_name,
        move=move,
    )


def as_node(cluster: Cluster, path: str) -> str:
    """Shell that asks the API with the kubelet's own certificate: a node has no administrator's rights."""
    credentials = f"--cacert {CA} --cert {KUBELET_CLIENT_PEM} --key {KUBELET_CLIENT_PEM}"
    return f"curl -sSf --max-time 5 {credentials} {quote(cluster.server + path)}"


def read(component: str, subject: str, code: str, words: str) -> Row:
    """An answer -> the row; "could not ask" is not well."""
    words = words.strip()
    if code != "0":
        return Row(component, subject, False, words)
    if component == "etcd":
        return _etcd(subject, words)
    if component == "node":
        ready, *rest = words.split(" ")
        return Row(
            component, subject, ready == "True", f"{'Ready' if ready == 'True' else 'not Ready'} {' '.join(rest)}"
        )
    if component == "leases":
        held = dict(pair.split("=", 1) for pair in words.split() if "=" in pair)
        return Row(component, subject, len(held) == 2 and all(held.values()), words)
    if component in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        return Row(component, subject, words == "ok", words)
    return Row(component, subject, True, words)


def _etcd(subject: str, words: str) -> Row:
    try:
        status = json.loads(words)[0]["Status"]
        leader = " leader" if status["leader"] == status["header"]["member_id"] else ""
        return Row(
            "etcd", subject, bool(status["leader"]), f"{status['version']} {status['dbSize'] / 1e6:.1f} MB{leader}"
        )
    except (ValueError, LookupError, TypeError):
        return Row("etcd", subject, False, f"not an answer: {words}")
