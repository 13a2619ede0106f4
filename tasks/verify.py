"""Is the cluster well? Health is only read; the traffic check makes pods on every node, and removes them."""

from __future__ import annotations

from shlex import quote

from pyinfra.api import deploy

from kubeinfra.artifacts.needs import KUBERNETES_BIN
from kubeinfra.health.questions import probes
from kubeinfra.machine.render import template
from kubeinfra.operations import health as operations
from kubeinfra.operations.gates import Probe, barrier, once, require
from kubeinfra.run.hosts import is_deploy_file, is_lead_host, runs_kubectl, this_machine
from kubeinfra.run.inventory import cluster
from tasks.control_plane import KUBECTL
from tasks.preflight import preflight

CONFIGMAP = "kubeinfra-verified"
# Which nodes with which pod networks under which flannel: traffic that was proved for the same is not proved again.
NETWORK = (
    f"{{ {KUBECTL} get nodes -o jsonpath='{{range .items[*]}}{{.metadata.uid}} {{.spec.podCIDR}} {{end}}'; "
    f"{KUBECTL} -n kube-flannel get daemonset kube-flannel-ds "
    "-o jsonpath='{.metadata.uid} {.metadata.generation}'; "
    "} | sha256sum"
)


@deploy("verify")
def health() -> None:
    """A table of every component; what is not well fails its host, with what it said."""
    operations.ask(probes(cluster(), this_machine(), KUBECTL, runs_kubectl()), name="health")
    barrier(name="all have answered")
    if is_lead_host():
        operations.show(name="table")
    barrier(name="the table is shown")
    operations.judge(len(cluster().load_balancers) if is_lead_host() else None, name="well")


@deploy("verify")
def traffic_where_changed() -> None:
    """The traffic check, where it has not been passed by these nodes on this network yet."""
    verified = f"{KUBECTL} -n kube-system get configmap {CONFIGMAP} -o jsonpath='{{.data.network}}'"
    _traffic(unless=f'[ "$({verified})" = "$({NETWORK})" ]')


@deploy("verify")
def traffic() -> None:
    _traffic(unless=None)


def _traffic(unless: str | None) -> None:
    """Pods on every node reach each other by pod address and through a Service."""
    if not runs_kubectl():
        return
    manifest = template("verify/traffic.yaml.j2", image=cluster().verify_image)
    script = template(
        "verify/traffic.sh.j2",
        kubectl=KUBECTL,
        manifest=manifest,
        configmap=CONFIGMAP,
        network=NETWORK,
        cluster_domain=cluster().settings.cluster_domain,
    )
    once("check the traffic between pods of all nodes", unless=unless, command=f"sh -c {quote(script)}", name="traffic")


if is_deploy_file(__file__):
    preflight(changes=False)
    if runs_kubectl():
        is_set_up = Probe("the control plane is set up", f"[ -x {KUBERNETES_BIN}/kubectl ]")
        require(is_set_up, "run tasks/control_plane.py first", name="the control plane is set up")
    barrier(name="there is something to ask")
    health()
    traffic()
