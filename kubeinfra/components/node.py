"""A node: kubelet with TLS bootstrapping, and kube-proxy."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import yaml

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.cluster.types import is_ipv4
from kubeinfra.components import flags
from kubeinfra.components.as_node import as_node, status_as_node
from kubeinfra.components.base import Component, Here, Needed, Port, Probe, Unit
from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.components.direct import CURL
from kubeinfra.components.proxy_mode import proxy_mode
from kubeinfra.components.runtime import runtime
from kubeinfra.machine.edits import has_local_resolver, has_resolver_for_pods, resolv_conf_for_pods, with_servers
from kubeinfra.machine.render import template
from kubeinfra.machine.state import MachineState
from kubeinfra.machine.wanted import Directory, Edit, File, Wanted
from kubeinfra.paths import (
    CNI_BIN,
    CNI_CONF,
    KUBELET_CLIENT_PEM,
    KUBELET_KUBECONFIG,
    KUBERNETES_BIN,
    KUBERNETES_CA,
    KUBERNETES_CFG,
    KUBERNETES_SSL,
    LINKS,
    RUN,
)
from kubeinfra.pki.certificates import node_certificates
from kubeinfra.pki.kubeconfig import kubeconfig
from kubeinfra.releases.catalogue import artifact

KUBELET = Unit("kubelet.service", f"{KUBERNETES_BIN}/kubelet")
KUBE_PROXY = Unit("kube-proxy.service", f"{KUBERNETES_BIN}/kube-proxy")
UNITS = [KUBE_PROXY, KUBELET]
BINARIES = ("kubelet", "kube-proxy")
OWNS = (
    *(f"{KUBERNETES_BIN}/{name}" for name in BINARIES),
    *(f"{LINKS}/{name}" for name in BINARIES),
    KUBELET.file,
    KUBE_PROXY.file,
    KUBERNETES_CFG,
    KUBERNETES_SSL,
    CNI_BIN,
    "/var/lib/kubelet",
)
OWN_RESOLV_CONF = f"{KUBERNETES_CFG}/resolv.conf"
BOOTSTRAP_KUBECONFIG = f"{KUBERNETES_CFG}/bootstrap.kubeconfig"
KUBELET_CONFIG = f"{KUBERNETES_CFG}/kubelet-config.yaml"
KUBE_PROXY_CONFIG = f"{KUBERNETES_CFG}/kube-proxy-config.yaml"
KUBE_PROXY_KUBECONFIG = f"{KUBERNETES_CFG}/kube-proxy.kubeconfig"
SIGNED = Probe("the kubelet's certificate is signed", f"[ -s {KUBELET_CLIENT_PEM} ]", 180, "kubelet")


def ports(cluster: Cluster) -> tuple[Port, ...]:
    measures = ("nodes (metrics-server)",) if cluster.metrics_server else ()
    return (
        Port(10250, "kubelet", ("masters", *measures)),
        Port(10248, "kubelet"),
        Port(10249, "kube-proxy"),
        Port(10256, "kube-proxy"),
    )


def describe(here: Here) -> Component:
    cluster, machine = here.cluster, here.machine
    pods_resolv_conf = resolv_conf(here.seen)
    kubelet = flags.kubelet_configuration(cluster, machine, pods_resolv_conf, not here.seen.cgroup_v2)
    kube_proxy = flags.kube_proxy_configuration(cluster, machine, proxy_mode(cluster, machine, here.seen))
    files = (
        Directory(KUBERNETES_CFG),
        Directory(KUBERNETES_SSL, "700"),
        Directory("/var/lib/kubelet", "700"),
        Directory(CNI_CONF),
        File(KUBERNETES_CA, here.secrets.bundle("kubernetes")),
        File(KUBELET_CONFIG, yaml.safe_dump(kubelet, sort_keys=True)),
        File(KUBE_PROXY_CONFIG, yaml.safe_dump(kube_proxy, sort_keys=True)),
        *_bootstrap_kubeconfig(here),
        # As on a master: a file edited by hand may embed its key.
        File(KUBE_PROXY_KUBECONFIG, _kube_proxy_kubeconfig(cluster), secret=True),
        # The kubelet writes it when it bootstraps; afterwards only the endpoint in it is updated.
        Edit(KUBELET_KUBECONFIG, lambda text: with_server(text, cluster.server), create=False, secret=True),
        *([File(OWN_RESOLV_CONF, own_resolv_conf(here))] if pods_resolv_conf == OWN_RESOLV_CONF else []),
        *units(cluster, machine),
    )
    return Component(files, tuple(node_certificates(machine)), binaries(cluster, here.seen.arch))


def binaries(cluster: Cluster, arch: str) -> tuple[Needed, ...]:
    return (
        Needed(artifact("kubernetes", cluster.release.kubernetes, arch), KUBERNETES_BIN, BINARIES),
        Needed(artifact("cni-plugins", cluster.release.cni_plugins, arch), CNI_BIN),
    )


def units(cluster: Cluster, machine: Machine) -> list[Wanted]:
    serving, proxy = node_certificates(machine)
    reference = "https://kubernetes.io/docs/reference/command-line-tools-reference"
    container_runtime = runtime(cluster).unit.name
    is_static = cluster.bootstrap_tokens == "static"
    kubelet = template(
        "component.service.j2",
        description="Kubernetes kubelet",
        documentation=f"{reference}/kubelet/",
        unit_lines=[f"After={container_runtime}", f"Wants={container_runtime}"],
        unit=KUBELET.name,
        inputs=[
            KUBELET.file,
            KUBERNETES_CA,
            KUBELET_CONFIG,
            *([BOOTSTRAP_KUBECONFIG] if is_static else []),
            *serving.files,
        ],
        optional=[*([] if is_static else [BOOTSTRAP_KUBECONFIG]), KUBELET_KUBECONFIG],
        existence=[KUBELET_CLIENT_PEM],
        binary=KUBELET.binary,
        flags=flags.kubelet_flags(cluster, machine),
    )
    kube_proxy = template(
        "component.service.j2",
        description="Kubernetes kube-proxy",
        documentation=f"{reference}/kube-proxy/",
        unit=KUBE_PROXY.name,
        inputs=[KUBE_PROXY.file, KUBERNETES_CA, KUBE_PROXY_CONFIG, KUBE_PROXY_KUBECONFIG, *proxy.files],
        binary=KUBE_PROXY.binary,
        flags=flags.kube_proxy_flags(),
    )
    return [File(KUBELET.file, kubelet), File(KUBE_PROXY.file, kube_proxy)]


def _bootstrap_kubeconfig(here: Here) -> list[File]:
    """With a token that ends it is for a node that joins; on others it stays as it is, and is not read any more."""
    is_read = here.joins or here.cluster.bootstrap_tokens == "static"
    return [File(BOOTSTRAP_KUBECONFIG, bootstrap_kubeconfig(here), "600", secret=True)] if is_read else []


def bootstrap_kubeconfig(here: Here) -> str | None:
    token = here.secrets.bootstrap_token
    if token is None or here.secrets.bundle("kubernetes") is None:
        return None
    server = here.cluster.server
    return kubeconfig(server=server, user="kubelet-bootstrap", ca=PurePosixPath(KUBERNETES_CA), token=token)


def _kube_proxy_kubeconfig(cluster: Cluster) -> str:
    return kubeconfig(
        server=cluster.server,
        user="kube-proxy",
        ca=PurePosixPath(KUBERNETES_CA),
        certificate=PurePosixPath(f"{KUBERNETES_SSL}/kube-proxy.pem"),
        key=PurePosixPath(f"{KUBERNETES_SSL}/kube-proxy-key.pem"),
    )


def with_server(kubeconfig_text: str, server: str) -> str:
    return re.sub(r"server: \S+", f"server: {server}", kubeconfig_text)


def resolv_conf(seen: MachineState) -> str:
    """
    Path of the resolv.conf for pods, which cannot reach a name server on the machine's loopback. The kubelet opens it
    for each pod, so it is always a file that is there.
    """
    for path, text in resolv_confs(seen).items():
        if has_resolver_for_pods(text) and not has_local_resolver(text):
            return path
    return OWN_RESOLV_CONF


def resolv_confs(seen: MachineState) -> dict[str, str]:
    """The machine's own: path -> text. The stub of systemd-resolved knows other servers than it names."""
    return {"/etc/resolv.conf": seen.resolv_conf, "/run/systemd/resolve/resolv.conf": seen.systemd_resolv_conf}


def own_resolv_conf(here: Here) -> str:
    """Servers that pods can reach: of the machine's, and of setting dns_upstreams."""
    texts = [resolv_conf_for_pods(text) for text in resolv_confs(here.seen).values()]
    text = next(filter(has_resolver_for_pods, texts), texts[0])
    return with_servers(text, (one for one in here.settings.dns_upstreams if is_ipv4(one)))


def _own_node(machine: Machine) -> str:
    return as_node(f"/api/v1/nodes/{machine.node_name}")


def _own_status(machine: Machine) -> str:
    return status_as_node(f"/api/v1/nodes/{machine.node_name}")


def endpoint_answers(cluster: Cluster) -> Probe:
    """Checked before a node moves to another endpoint, so that it does not leave one that works."""
    command = f"{CURL} -sS --max-time 5 --insecure --output /dev/null {cluster.server}/readyz"
    return Probe(f"the API answers at {cluster.endpoint} from here", command, 60)


def healthy(machine: Machine) -> Probe:
    """Checked with the node's own certificate, so that no administrator's rights are needed here."""
    own = " && ".join(f"{CURL} -sSf --max-time 5 http://127.0.0.1:{port}/healthz" for port in (10248, 10256))
    what = "kubelet and kube-proxy are healthy, and the node is registered"
    return Probe(what, f"{own} && {_own_node(machine)}", 120, "kubelet")


def is_gone(machine: Machine) -> Probe:
    """Its Node object has been deleted. An API that does not answer counts as one that has it; see `is_told`."""
    command = f'[ -s {KUBELET_CLIENT_PEM} ] && [ "$({_own_status(machine)})" = 404 ]'
    return Probe("its Node is gone, and it registers only when it starts", command)


def is_told(machine: Machine) -> Probe:
    """The API, by the node's own way to it, says whether it has the Node object."""
    command = (
        f"said=$({_own_status(machine)}); "
        'case $said in 200 | 404) ;; *) echo "the API answered ${said:-nothing}" >&2; false ;; esac'
    )
    return Probe(f"the API says whether it has node {machine.node_name}", command, unit="kubelet")


def ready_again(machine: Machine) -> Probe:
    """It has reported Ready since its kubelet's last start: an older report may be out of date."""
    # The inputs are recorded at each start.
    started = f"stat -c %Y {RUN}/{KUBELET.name}.inputs"
    heartbeat = """sed -n 's/.*"type":"Ready","status":"True","lastHeartbeatTime":"\\([^"]*\\)".*/\\1/p'"""
    return Probe(
        f"node {machine.node_name} is Ready again",
        f'at=$({_own_node(machine)} | tr -d \' \\n\' | {heartbeat}); [ "$(date -d "$at" +%s)" -ge "$({started})" ]',
        120,
        "kubelet",
    )


NOTED = f"{RUN}/api-is-back"
"""A file whose time of change is the moment after which a kubelet must have spoken to the API; see `ready_since`."""


def ready_since(machine: Machine) -> Probe:
    """It is Ready, and its kubelet has renewed the node's lease, as it does every 10 s, since NOTED was touched."""
    lease = as_node(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{machine.node_name}")
    renewed = """tr -d ' \\n' | sed -n 's/.*"renewTime":"\\([^"]*\\)".*/\\1/p'"""
    return Probe(
        f"node {machine.node_name} has renewed its lease, and is Ready",
        f'at=$({lease} | {renewed}); [ "$at" ] && [ "$(date -d "$at" +%s)" -gt "$(stat -c %Y {NOTED})" ] && '
        f"""{_own_node(machine)} | tr -d ' \\n' | grep -q '"type":"Ready","status":"True"'""",
        120,
        "kubelet",
    )


def other_nodes_ready(machine: Machine, but: int = 0) -> Probe:
    """
    The other nodes must be Ready before this one's container runtime, and with it its pods, restarts; a node that is
    not Ready itself may always restart. A master is asked: from 1.32 on a node sees its own Node only (KEP 4601).

    + but: how many of the others need not be Ready
    """
    return Probe(
        f"the other nodes{f', all but {but},' if but else ''} are Ready (kubectl get nodes)",
        f'found=$({KUBECTL} get nodes --no-headers) && echo "$found" | awk -v own={machine.node_name} -v most={but} \''
        '$2 ~ /^Ready/ { next } $1 == own { is_away = 1; next } { others = others $1 " "; away++ } '
        'END { if (!is_away && away > most) { print "not Ready: " others; exit 1 } }\'',
        60,
        on_master=True,
        unless=f"[ ! -s {KUBELET_CLIENT_PEM} ]",  # it is of no cluster yet
    )


def pods_ready(machine: Machine) -> Probe:
    """All running pods of this node are Ready; the next node waits for that, unless a pod was not Ready before."""
    here = f"/api/v1/pods?fieldSelector=spec.nodeName%3D{machine.node_name},status.phase%3DRunning"
    unready = """tr -d ' \\n' | grep -qE '"type":"Ready","status":"(False|Unknown)"'"""
    return Probe(
        "the pods of this node are ready again",
        f'[ -s {KUBELET_CLIENT_PEM} ] && found=$({as_node(here)}) && ! echo "$found" | {unready}',
        120,
        "kubelet",
    )
