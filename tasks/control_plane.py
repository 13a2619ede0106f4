"""The control plane: API server, controller-manager and scheduler, with their keys, tokens and rights."""

from __future__ import annotations

from pathlib import PurePosixPath

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.artifacts.needs import KUBERNETES_BIN
from kubeinfra.cluster.cluster import Machine
from kubeinfra.components import flags
from kubeinfra.components.flags import CA_FILE, CFG, LOGS
from kubeinfra.machine.render import static, template
from kubeinfra.machine.wanted import Directory, File, Link, Wanted
from kubeinfra.operations.controller import admin_kubeconfig, cas
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import Probe, apply, barrier, require
from kubeinfra.operations.rolling import one_at_a_time
from kubeinfra.operations.units import Unit, converge, start
from kubeinfra.pki.certificates import CONTROLLER_MANAGER_USER, KUBERNETES_SSL, SCHEDULER_USER, master_certificates
from kubeinfra.pki.keys import public_key_pem
from kubeinfra.pki.kubeconfig import kubeconfig
from kubeinfra.run.controller import controller
from kubeinfra.run.hosts import (
    ca_key_pem,
    ca_pem,
    is_deploy_file,
    is_lead_host,
    runs_kubectl,
    this_machine,
)
from kubeinfra.run.inventory import cluster
from tasks.artifacts import bring, needed_here
from tasks.preflight import check_absent_machines, preflight

APISERVER = Unit("kube-apiserver.service", f"{KUBERNETES_BIN}/kube-apiserver")
CONTROLLER_MANAGER = Unit("kube-controller-manager.service", f"{KUBERNETES_BIN}/kube-controller-manager")
SCHEDULER = Unit("kube-scheduler.service", f"{KUBERNETES_BIN}/kube-scheduler")
UNITS = [APISERVER, CONTROLLER_MANAGER, SCHEDULER]
KUBECTL = f"{KUBERNETES_BIN}/kubectl --kubeconfig {CFG}/admin.kubeconfig"
READY = Probe("the API server is ready", f"{KUBECTL} get --raw /readyz", unit="kube-apiserver")
RBAC = f"{CFG}/rbac.yaml"
_HEALTHZ = " && ".join(f"curl -sSf -k --max-time 5 https://127.0.0.1:{port}/healthz" for port in (10257, 10259))
ALL_WELL = Probe("the control plane is well", f"{READY.command} && {_HEALTHZ}", unit="kube-apiserver")


@deploy("control plane")
def control_plane() -> None:
    """Started without waiting: the nodes' slow steps go on meanwhile."""
    if is_lead_host():
        cas(
            ["kubernetes", "front-proxy", "etcd"],
            ["service-account-key", "bootstrap-token"],
            name="authorities",
        )
    barrier(name="the authorities of Kubernetes are there")
    if "master" not in host.groups:
        return
    master = this_machine()
    install(files(master), master_certificates(cluster()), needed_here("control plane"), name="files")
    start(UNITS, block=False, name="start")


@deploy("control plane")
def control_plane_gate() -> None:
    """Ready; then each master that runs from something else than the disk has, one at a time."""
    if "master" not in host.groups:
        return
    one_at_a_time(
        cluster().masters,
        lambda: converge(UNITS, healthy=ALL_WELL, guard=others_ready(), name=f"{host.name} is ready"),
    )
    if runs_kubectl():
        apply(KUBECTL, RBAC, name="rights of nodes and of the API server")


@deploy("control plane")
def administrator() -> None:
    """Last, when its endpoint answers: where the endpoint moves, the one that a person has works until then."""
    if is_lead_host():
        admin_kubeconfig(name="the administrator's kubeconfig on the controller")


def others_ready() -> Probe | None:
    """
    The other masters carry the load meanwhile; asked on the machine, right before its restart. One that is not ready
    itself carries nothing.
    """
    others = [
        f"https://{cluster().apiserver(master)}/readyz" for master in cluster().masters if master.name != host.name
    ]
    if not others:
        return None
    asked = " && ".join(f"curl -sSf --max-time 5 --cacert {CA_FILE} {url}" for url in others)
    return Probe("the other API servers are ready", f"! {READY.command} || {{ {asked}; }}", 60)


def files(master: Machine) -> list[Wanted]:
    return [
        Directory("/opt/kubernetes/cfg"),
        Directory("/opt/kubernetes/ssl", "700"),
        Directory(LOGS, "700"),
        File(CA_FILE, lambda: ca_pem("kubernetes")),
        File(f"{KUBERNETES_SSL}/ca-key.pem", lambda: ca_key_pem("kubernetes"), "600", secret=True),
        File(f"{KUBERNETES_SSL}/etcd-ca.pem", lambda: ca_pem("etcd")),
        File(f"{KUBERNETES_SSL}/front-proxy-ca.pem", lambda: ca_pem("front-proxy")),
        File(flags.SERVICE_ACCOUNT_KEY, service_account_key, "600", secret=True),
        File(flags.SERVICE_ACCOUNT_PUBLIC_KEY, service_account_public_key),
        File(f"{CFG}/token.csv", token_csv, "600", secret=True),
        File(f"{CFG}/audit-policy.yaml", static("control_plane/audit-policy.yaml")),
        File(RBAC, static("control_plane/rbac.yaml")),
        # Ours name their keys by path; one that a person has changed may hold its key, and a diff would show that.
        File(f"{CFG}/kube-controller-manager.kubeconfig", _kubeconfig(master, "kube-controller-manager"), secret=True),
        File(f"{CFG}/kube-scheduler.kubeconfig", _kubeconfig(master, "kube-scheduler"), secret=True),
        File(f"{CFG}/admin.kubeconfig", _kubeconfig(master, "admin"), "600", secret=True),
        Directory("/root/.kube", "700"),
        Link("/root/.kube/config", f"{CFG}/admin.kubeconfig", keep_existing=True),
        *units(master),
    ]


def units(master: Machine) -> list[File]:
    """Their unit files; an input is whatever the process reads when it starts."""
    ssl = KUBERNETES_SSL
    own = {certificate.spec.common_name: certificate.files for certificate in master_certificates(cluster())}
    shared = [CA_FILE, flags.SERVICE_ACCOUNT_KEY, f"{ssl}/front-proxy-ca.pem"]
    others = (CONTROLLER_MANAGER_USER, SCHEDULER_USER, "admin")
    apiserver_certificates = [path for user, files in own.items() if user not in others for path in files]
    return [
        _unit(
            APISERVER,
            "Kubernetes API server",
            flags.apiserver_flags(cluster(), master),
            [
                *shared,
                *apiserver_certificates,
                f"{ssl}/etcd-ca.pem",
                flags.SERVICE_ACCOUNT_PUBLIC_KEY,
                f"{CFG}/token.csv",
                f"{CFG}/audit-policy.yaml",
            ],
            [
                "Type=notify",
                "LimitNOFILE=65536",
                # 1.20 closes its listener at once, then waits up to 60 s for open watches. Requests need a second or
                # two to finish; a watch is better off with another server than with the rest of that minute.
                "TimeoutStopSec=3",
            ],
        ),
        _unit(
            CONTROLLER_MANAGER,
            "Kubernetes controller-manager",
            flags.controller_manager_flags(cluster()),
            [
                *shared,
                f"{ssl}/ca-key.pem",
                f"{CFG}/kube-controller-manager.kubeconfig",
                *own[CONTROLLER_MANAGER_USER],
            ],
        ),
        _unit(
            SCHEDULER,
            "Kubernetes scheduler",
            flags.scheduler_flags(cluster()),
            [CA_FILE, f"{CFG}/kube-scheduler.kubeconfig", *own[SCHEDULER_USER]],
        ),
    ]


def _unit(unit: Unit, title: str, arguments: dict[str, str], inputs: list[str], lines: list[str] | None = None) -> File:
    path = f"/etc/systemd/system/{unit.name}"
    name = unit.name.removesuffix(".service")
    text = template(
        "component.service.j2",
        description=title,
        documentation=f"https://kubernetes.io/docs/reference/command-line-tools-reference/{name}/",
        service_lines=lines or [],
        unit=unit.name,
        inputs=[path, *inputs],
        binary=unit.binary,
        flags=arguments,
    )
    return File(path, text)


def _kubeconfig(master: Machine, user: str) -> str:
    """Each component of a master speaks to the API server beside it: with it down, another master's take over."""
    return kubeconfig(
        server=f"https://{cluster().apiserver(master)}",
        user=user,
        ca=PurePosixPath(CA_FILE),
        certificate=PurePosixPath(f"{KUBERNETES_SSL}/{user}.pem"),
        key=PurePosixPath(f"{KUBERNETES_SSL}/{user}-key.pem"),
    )


def service_account_key() -> str | None:
    return controller().secret("service-account-key")


def service_account_public_key() -> str | None:
    key = service_account_key()
    return public_key_pem(key) if key else None


def token_csv() -> str | None:
    """The static token file: token, user, uid, groups (https://kubernetes.io/docs/reference/access-authn-authz/)."""
    token = controller().secret("bootstrap-token")
    return f'{token},kubelet-bootstrap,10001,"system:kubelet-bootstrap"\n' if token else None


if is_deploy_file(__file__):
    preflight()
    check_absent_machines()
    if "master" in host.groups:
        # A master need not be a member. Without a certificate etcd hangs up, which is an answer: only a name that is
        # not known (6), a refused connection (7) and silence (28) are none.
        asks = "asks() { curl -s -k -m 5 -o /dev/null $1/health; case $? in 6|7|28) false ;; esac; }"
        members = " || ".join(f"asks {member.client_url}" for member in cluster().etcd_members)
        require(Probe("etcd answers", f"{asks}; {members}"), "run tasks/etcd.py first", name="etcd answers")
    bring(["control plane"])
    control_plane()
    control_plane_gate()
    administrator()
