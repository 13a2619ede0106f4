"""Whether a cluster is healthy: the commands that each machine is asked, and how their output is parsed. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Address
from shlex import quote

from kubeinfra.components import etcd, metrics_server
from kubeinfra.components.base import Here
from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.components.direct import CURL
from kubeinfra.components.engines import ENGINES, engine
from kubeinfra.components.load_balancer import has_address
from kubeinfra.components.metrics_server import OF_OTHERS
from kubeinfra.components.network import pod_network
from kubeinfra.paths import ETCDCTL


@dataclass(frozen=True)
class Row:
    """
    One line of the health table: a component, the machine or object asked about, and what its answer was.

    + note: healthy, but less than one may expect; the detail says what
    """

    component: str
    subject: str
    healthy: bool
    detail: str
    note: bool = False


def probes(here: Here, asks_api: bool) -> list[tuple[str, str, str]]:
    """
    Component, subject and shell command of each question for this machine; `parse_answers` reads the output.

    + asks_api: whether this machine also asks the API about nodes and leaders; one master of a run does
    """
    cluster, machine, kubectl, commands = here.cluster, here.machine, KUBECTL, []
    if "etcd" in machine.groups:
        commands.append(("etcd", etcd.member(here).name, _member(here)))
    if "master" in machine.groups:
        commands.append(("kube-apiserver", machine.name, f"{kubectl} get --raw /readyz"))
        for name, port in (("kube-controller-manager", 10257), ("kube-scheduler", 10259)):
            commands.append(
                (name, machine.name, f"{CURL} -sS --insecure --max-time 5 https://127.0.0.1:{port}/healthz")
            )
        commands.append((TO_PODS, machine.name, _reaches_pods("node" in machine.groups)))
        if cluster.metrics_server:
            commands.append((METRICS, machine.name, metrics_server.answers(cluster.nodes)))
    if asks_api:
        leases = "kube-controller-manager kube-scheduler"
        holders = "{range .items[*]}{.metadata.name}={.spec.holderIdentity} {end}"
        commands.append(
            ("leases", "leaders", f"{kubectl} -n kube-system get lease {leases} -o jsonpath={quote(holders)}")
        )
        names = " ".join(node.node_name for node in cluster.nodes)
        commands.append((NODES, names, f"{kubectl} get nodes -o jsonpath={quote(_NODES)}"))
    if "node" in machine.groups:
        commands.append(("pod network", machine.name, pod_network(machine)))
        if cluster.settings.flannel_backend == "vxlan":
            commands.append(("flannel.1", machine.name, "ip -o -4 address show flannel.1 | awk '{print $2, $4}'"))
        commands.append(("kube-proxy", machine.name, _KUBE_PROXY))
    if "lb" in machine.groups:
        through = f"https://127.0.0.1:{cluster.settings.load_balancer_port}/readyz"
        commands.append((engine(cluster).name, machine.name, f"{CURL} -sS --insecure --max-time 5 {through}"))
        commands.append((VIRTUAL_ADDRESS, machine.name, _keepalived(cluster.settings.virtual_ip)))
    return commands


def _member(here: Here) -> str:
    """Shell: the member is healthy, and the members are those of the inventory, by address (etcd keeps the names)."""
    endpoint = f"ETCDCTL_ENDPOINTS={here.machine.etcd_client_url} {ETCDCTL}"
    wanted = " ".join(sorted(one.etcd_peer_url for one in here.cluster.etcd_machines))
    return (
        f'output=$({endpoint} endpoint health 2>&1) || {{ echo "$output"; exit 1; }}; '
        # A line has the member's ID, whether it has started, its name, its peer URLs, ...
        f"found=$({endpoint} member list | "
        """awk -F ', ' '{print $4 ($2 == "started" ? "" : " (not started)")}' | sort | xargs) || exit 1; """
        f'[ "$found" = "{wanted}" ] || {{ echo "the members are $found, not {wanted}"; exit 1; }}; '
        f"{endpoint} endpoint status -w json"
    )


# Healthy, and by which mode: without ip_vs in the kernel it is iptables.
_KUBE_PROXY = (
    f"{CURL} -sSf -m 5 -o /dev/null http://127.0.0.1:10256/healthz && {CURL} -sSf -m 5 127.0.0.1:10249/proxyMode"
)
# CoreDNS runs in every cluster, in pods with addresses of their own; 8181 is its plugin "ready".
_DNS_PODS = f"{KUBECTL} -n kube-system get pods -l k8s-app=kube-dns --field-selector status.phase=Running"
TO_PODS = "pods from masters"
METRICS = "metrics of nodes"
REACHED, NOT_REACHED = "reached", "not reached"
VIRTUAL_ADDRESS = "virtual address"
NODES = "node"
# One command for all nodes: with a command for each, the argument list would be too long from about 500 nodes on.
_NODES = (
    "{range .items[*]}{.metadata.name} "
    '{.status.conditions[?(@.type=="Ready")].status} {.status.nodeInfo.kubeletVersion} {.spec.podCIDR};{end}'
)
HOLDS = "holds it"


def _reaches_pods(is_node: bool) -> str:
    """Shell: whether this master reaches a pod by its address, as its API server does for webhooks and API services."""
    remedy = (
        "docs/components/network.md" if is_node else "webhooks and API services need hostNetwork, or put it in node"
    )
    return (
        f"found=$({_DNS_PODS} -o jsonpath='{{.items[*].status.podIP}}') || exit 1; "
        '[ "$found" ] || { echo "no pod of CoreDNS to ask"; exit 0; }; for address in $found; do '
        f'if {CURL} -sS --connect-timeout 1 --max-time 3 -o /dev/null "http://$address:8181/ready" '
        f"2>/dev/null; then echo {quote(REACHED)}; exit 0; fi; done; echo {quote(f'{NOT_REACHED}: {remedy}')}"
    )


def _keepalived(address: IPv4Address | None) -> str:
    return (
        'state=$(systemctl is-active keepalived) || { echo "keepalived is $state"; exit 1; }; '
        f"if {has_address(address)}; then echo {HOLDS}; else echo stands by; fi"
    )


def parse_answers(component: str, subject: str, exit_code: str, output: str) -> list[Row]:
    """The output of a command of `probes` -> its rows: one for each node, and a single one for anything else."""
    if component != NODES:
        return [parse_answer(component, subject, exit_code, output)]
    names = subject.split()
    if exit_code != "0":
        return [Row(component, names[0] if len(names) == 1 else f"all {len(names)}", False, output.strip())]
    found = dict(node.strip().split(" ", 1) for node in output.split(";") if " " in node.strip())
    return [_node(name, found.get(name)) for name in names]


def _node(name: str, found: str | None) -> Row:
    if found is None:
        return Row(NODES, name, False, f'nodes "{name}" not found')
    ready, _, rest = found.partition(" ")
    return Row(NODES, name, ready == "True", f"{'Ready' if ready == 'True' else 'not Ready'} {rest}")


def parse_answer(component: str, subject: str, exit_code: str, output: str) -> Row:
    """The output of any other command -> its row; a command that failed means not healthy."""
    output = output.strip()
    if exit_code != "0":
        return Row(component, subject, False, output)
    if component == "etcd":
        return _etcd(subject, output)
    if component == "leases":
        holders = dict(pair.split("=", 1) for pair in output.split() if "=" in pair)
        return Row(component, subject, len(holders) == 2 and all(holders.values()), output)
    if component in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", *ENGINES):
        return Row(component, subject, output == "ok", output)
    if component == "flannel.1":
        return Row(component, subject, "/" in output, output or "flannel.1 has no address")
    if component == TO_PODS:
        return Row(component, subject, True, output, note=output.startswith(NOT_REACHED))
    if component == METRICS and output.startswith(OF_OTHERS):
        detail = f"{output}, which is not ours and stays: metrics_server = False says so"
        return Row(component, subject, True, detail, note=True)
    return Row(component, subject, True, output)


def _etcd(subject: str, output: str) -> Row:
    try:
        status = json.loads(output)[0]["Status"]
        leader = " leader" if status["leader"] == status["header"]["member_id"] else ""
        alarms = "".join(f" {error}" for error in status.get("errors") or [])  # such as NOSPACE: no more writes
        detail = f"{status['version']} {status['dbSize'] / 1e6:.1f} MB{leader}{alarms}"
        return Row("etcd", subject, bool(status["leader"]) and not alarms, detail)
    except (ValueError, LookupError, TypeError):
        return Row("etcd", subject, False, f"not an answer: {output}")
