"""A node: kubelet with TLS bootstrapping, and kube-proxy."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import yaml
from pyinfra import host
from pyinfra.api import deploy
from pyinfra.api.exceptions import PyinfraError

from kubeinfra.artifacts.needs import KUBERNETES_BIN, node_images
from kubeinfra.cluster.cluster import Machine
from kubeinfra.components import flags
from kubeinfra.components.flags import CA_FILE, CFG, KUBELET_CLIENT_PEM
from kubeinfra.health.questions import as_node
from kubeinfra.machine.edits import has_local_resolver, resolv_conf_for_pods
from kubeinfra.machine.render import template
from kubeinfra.machine.wanted import Directory, Edit, File, Wanted
from kubeinfra.operations.artifacts import load_images
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import Probe, require
from kubeinfra.operations.units import Unit, converge, start
from kubeinfra.pki.certificates import KUBERNETES_SSL, node_certificates
from kubeinfra.pki.kubeconfig import kubeconfig
from kubeinfra.run.controller import controller
from kubeinfra.run.hosts import ca_pem, is_deploy_file, this_machine
from kubeinfra.run.inventory import cluster
from tasks.artifacts import bring, needed_here
from tasks.docker import USES_SYSTEMD
from tasks.preflight import machine_state, preflight

KUBELET = Unit("kubelet.service", f"{KUBERNETES_BIN}/kubelet")
KUBE_PROXY = Unit("kube-proxy.service", f"{KUBERNETES_BIN}/kube-proxy")
OWN_RESOLV_CONF = f"{CFG}/resolv.conf"


@deploy("node")
def preload_images() -> None:
    """The guide's `docker load`: pods need no registry for what came as a tar file."""
    if "node" in host.groups:
        load_images(node_images(cluster()), machine_state().arch, name="images")


@deploy("node")
def node() -> None:
    """kube-proxy with kubelet: flannel's pods look for the API server at its Service address."""
    if "node" not in host.groups:
        return
    machine = this_machine()
    install(files(machine), node_certificates(machine), needed_here("node"), name="files")
    start([KUBE_PROXY, KUBELET], block=False, name="start")


@deploy("node")
def node_gate() -> None:
    """Certificates signed, kubelets running on them, nodes registered."""
    if "node" not in host.groups:
        return
    machine = this_machine()
    converge(
        [KUBELET, KUBE_PROXY],
        # Until its certificate is there, kubelet 1.20 asks as an anonymous user and backs off for up to half a minute:
        # its inputs say whether it had one when it started, so it is restarted when it has.
        awaited=Probe("the kubelet's certificate is signed", f"[ -s {KUBELET_CLIENT_PEM} ]", 180, "kubelet"),
        healthy=Probe("kubelet and kube-proxy are well, and the node is registered", _well(machine), 120, "kubelet"),
        # All nodes at once: their pods go on. But none leaves an endpoint that works for one that it does not reach.
        guard=Probe(f"the API answers at {cluster().endpoint} from here", _answers(), 60),
        lost=(KUBELET, Probe("its Node is gone, and it registers only when it starts", _is_gone(machine))),
        name="registered",
    )


def _answers() -> str:
    return f"curl -sS --max-time 5 --insecure --output /dev/null {cluster().server}/readyz"


def _is_gone(machine: Machine) -> str:
    asked = as_node(f"/api/v1/nodes/{machine.node_name}")
    return f"[ -s {KUBELET_CLIENT_PEM} ] && [ \"$({asked} -o /dev/null -w '%{{http_code}}')\" = 404 ]"


def ready_again(machine: Machine) -> Probe:
    """It has said since its kubelet's last start that it is Ready: what it said before may be long out of date."""
    # The list of inputs is written at each start.
    started = f"stat -c %Y /run/kubeinfra/{KUBELET.name}.inputs"
    told = """sed -n 's/.*"type":"Ready","status":"True","lastHeartbeatTime":"\\([^"]*\\)".*/\\1/p'"""
    asked = as_node(f"/api/v1/nodes/{machine.node_name}")
    return Probe(
        f"node {machine.node_name} is Ready anew",
        f'told=$({asked} | tr -d \' \\n\' | {told}); [ "$(date -d "$told" +%s)" -ge "$({started})" ]',
        120,
        "kubelet",
    )


def _well(machine: Machine) -> str:
    """The node asks for itself, with its own certificate: no administrator's rights are needed here."""
    own = (
        "curl -sSf --max-time 5 http://127.0.0.1:10248/healthz && curl -sSf --max-time 5 http://127.0.0.1:10256/healthz"
    )
    return f"{own} && {as_node(f'/api/v1/nodes/{machine.node_name}')}"


def files(machine: Machine) -> list[Wanted]:
    configuration = flags.kubelet_configuration(cluster(), machine, resolv_conf())
    proxy_configuration = flags.kube_proxy_configuration(cluster(), machine)
    own_resolv_conf = resolv_conf_for_pods(machine_state().resolv_conf)
    return [
        Directory("/opt/kubernetes/cfg"),
        Directory("/opt/kubernetes/ssl", "700"),
        Directory("/var/lib/kubelet", "700"),
        Directory("/etc/cni/net.d"),
        File(CA_FILE, lambda: ca_pem("kubernetes")),
        File(f"{CFG}/kubelet-config.yaml", yaml.safe_dump(configuration, sort_keys=True)),
        File(f"{CFG}/kube-proxy-config.yaml", yaml.safe_dump(proxy_configuration, sort_keys=True)),
        File(f"{CFG}/bootstrap.kubeconfig", bootstrap_kubeconfig, "600", secret=True),
        File(
            f"{CFG}/kube-proxy.kubeconfig",
            kubeconfig(
                server=cluster().server,
                user="kube-proxy",
                ca=PurePosixPath(CA_FILE),
                certificate=PurePosixPath(f"{KUBERNETES_SSL}/kube-proxy.pem"),
                key=PurePosixPath(f"{KUBERNETES_SSL}/kube-proxy-key.pem"),
            ),
            secret=True,  # as on a master: a person may have put the key into it
        ),
        # The kubelet writes it when it bootstraps; where it has, it follows the endpoint.
        Edit(f"{CFG}/kubelet.kubeconfig", with_server, create=False, secret=True),
        *([File(OWN_RESOLV_CONF, own_resolv_conf)] if resolv_conf() == OWN_RESOLV_CONF else []),
        *units(machine),
    ]


def with_server(kubeconfig_text: str) -> str:
    return re.sub(r"server: \S+", f"server: {cluster().server}", kubeconfig_text)


def resolv_conf() -> str:
    """What pods get of the machine's name servers; a stub on the machine's loopback is out of their reach."""
    state = machine_state()
    if not has_local_resolver(state.resolv_conf):
        return "/etc/resolv.conf"
    return "/run/systemd/resolve/resolv.conf" if state.systemd_resolv_conf else OWN_RESOLV_CONF


def bootstrap_kubeconfig() -> str | None:
    token, ca = controller().secret("bootstrap-token"), ca_pem("kubernetes")
    if token is None or ca is None:
        return None
    return kubeconfig(server=cluster().server, user="kubelet-bootstrap", ca=PurePosixPath(CA_FILE), token=token)


def units(machine: Machine) -> list[File]:
    serving, proxy = node_certificates(machine)
    reference = "https://kubernetes.io/docs/reference/command-line-tools-reference"
    kubelet_file, proxy_file = (f"/etc/systemd/system/{unit.name}" for unit in (KUBELET, KUBE_PROXY))
    kubelet = template(
        "component.service.j2",
        description="Kubernetes kubelet",
        documentation=f"{reference}/kubelet/",
        unit_lines=["After=docker.service", "Wants=docker.service"],
        unit=KUBELET.name,
        inputs=[
            kubelet_file,
            CA_FILE,
            f"{CFG}/kubelet-config.yaml",
            f"{CFG}/bootstrap.kubeconfig",
            *serving.files,
        ],
        optional=[f"{CFG}/kubelet.kubeconfig"],
        existence=[KUBELET_CLIENT_PEM],
        binary=KUBELET.binary,
        flags=flags.kubelet_flags(cluster(), machine),
    )
    kube_proxy = template(
        "component.service.j2",
        description="Kubernetes kube-proxy",
        documentation=f"{reference}/kube-proxy/",
        unit=KUBE_PROXY.name,
        inputs=[
            proxy_file,
            CA_FILE,
            f"{CFG}/kube-proxy-config.yaml",
            f"{CFG}/kube-proxy.kubeconfig",
            *proxy.files,
        ],
        binary=KUBE_PROXY.binary,
        flags={"config": f"{CFG}/kube-proxy-config.yaml", "v": "2"},
    )
    return [File(kubelet_file, kubelet), File(proxy_file, kube_proxy)]


if is_deploy_file(__file__):
    preflight()
    if ca_pem("kubernetes") is None:
        raise PyinfraError(
            f"\n{controller().directory} has no authority kubernetes; run tasks/control_plane.py first, or bring that "
            "directory from the controller that set the cluster up"
        )
    if "node" in host.groups:
        answers = Probe("the API server answers", _answers())
        require(USES_SYSTEMD, "run tasks/docker.py first", name="Docker runs")
        require(answers, "run tasks/control_plane.py first", name="the API server answers")
    bring(["node"])
    preload_images()
    node()
    node_gate()
