"""The control plane on one master: API server, controller-manager and scheduler, with their keys, tokens and rights."""

from __future__ import annotations

from pathlib import PurePosixPath

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components import bootstrap, flags
from kubeinfra.components.base import Component, Here, Needed, Port, Probe, Unit
from kubeinfra.components.direct import CURL, WITHOUT_PROXY
from kubeinfra.machine.render import static, template
from kubeinfra.machine.wanted import Directory, File, Link, Wanted
from kubeinfra.paths import (
    FRONT_PROXY_CA,
    KUBERNETES_BIN,
    KUBERNETES_CA,
    KUBERNETES_CA_KEY,
    KUBERNETES_CFG,
    KUBERNETES_LOGS,
    KUBERNETES_SIGNING_CA,
    KUBERNETES_SSL,
    LINKS,
    MASTER_ETCD_CA,
    SERVICE_ACCOUNT_KEY,
    SERVICE_ACCOUNT_PUBLIC_KEY,
    TOKEN_CSV,
)
from kubeinfra.pki.certificates import CONTROLLER_MANAGER_USER, SCHEDULER_USER, master_certificates
from kubeinfra.pki.kubeconfig import kubeconfig
from kubeinfra.releases.catalogue import artifact

APISERVER = Unit("kube-apiserver.service", f"{KUBERNETES_BIN}/kube-apiserver")
CONTROLLER_MANAGER = Unit("kube-controller-manager.service", f"{KUBERNETES_BIN}/kube-controller-manager")
SCHEDULER = Unit("kube-scheduler.service", f"{KUBERNETES_BIN}/kube-scheduler")
UNITS = [APISERVER, CONTROLLER_MANAGER, SCHEDULER]
BINARIES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
OWNS = (
    *(f"{KUBERNETES_BIN}/{name}" for name in BINARIES),
    *(f"{LINKS}/{name}" for name in BINARIES),
    *(unit.file for unit in UNITS),
    KUBERNETES_CFG,
    KUBERNETES_SSL,
    KUBERNETES_LOGS,
    "/root/.kube/config",
)
ADMIN_KUBECONFIG = f"{KUBERNETES_CFG}/admin.kubeconfig"
KUBECTL = f"{WITHOUT_PROXY} {KUBERNETES_BIN}/kubectl --kubeconfig {ADMIN_KUBECONFIG}"
RBAC = f"{KUBERNETES_CFG}/rbac.yaml"
READY = Probe("the API server is ready", f"{KUBECTL} get --raw /readyz", unit="kube-apiserver")
_HEALTHZ = " && ".join(f"{CURL} -sSf -k --max-time 5 https://127.0.0.1:{port}/healthz" for port in (10257, 10259))
HEALTHY = Probe("the control plane is healthy", f"{READY.command} && {_HEALTHZ}", unit="kube-apiserver")


SOURCES = ("masters", "load balancers", "nodes (Service `kubernetes`)", "you if there are no load balancers")


def ports(cluster: Cluster) -> tuple[Port, ...]:
    """https://kubernetes.io/docs/reference/networking/ports-and-protocols/"""
    return (
        Port(cluster.settings.apiserver_port, "the API server", SOURCES),
        *(Port(number, "the scheduler") for number in (10259, *flags.plain_ports(cluster, "kube-scheduler"))),
        *(
            Port(number, "the controller-manager")
            for number in (10257, *flags.plain_ports(cluster, "kube-controller-manager"))
        ),
    )


def describe(here: Here) -> Component:
    master, secrets, certificates = here.machine, here.secrets, master_certificates(here.cluster)
    signing_ca = KUBERNETES_CA if secrets.has_one_certificate("kubernetes") else KUBERNETES_SIGNING_CA
    files = (
        Directory(KUBERNETES_CFG),
        Directory(KUBERNETES_SSL, "700"),
        Directory(KUBERNETES_LOGS, "700"),
        File(KUBERNETES_CA, secrets.bundle("kubernetes")),
        *([File(signing_ca, secrets.signing_pem("kubernetes"))] if signing_ca != KUBERNETES_CA else []),
        File(KUBERNETES_CA_KEY, secrets.signing_key_pem("kubernetes"), "600", secret=True),
        File(MASTER_ETCD_CA, secrets.bundle("etcd")),
        File(FRONT_PROXY_CA, secrets.bundle("front-proxy")),
        File(SERVICE_ACCOUNT_KEY, secrets.service_account_key, "600", secret=True),
        File(SERVICE_ACCOUNT_PUBLIC_KEY, secrets.service_account_public_key),
        *bootstrap.tokens(here.cluster, secrets.bootstrap_token),
        File(f"{KUBERNETES_CFG}/audit-policy.yaml", static("control_plane/audit-policy.yaml")),
        File(RBAC, template("control_plane/rbac.yaml.j2", joiner=bootstrap.subject(here.cluster))),
        # These refer to keys by path; a file edited by hand may embed its key, and a diff would show it.
        *(
            File(f"{KUBERNETES_CFG}/{user}.kubeconfig", _kubeconfig(here.cluster, master, user), mode, secret=True)
            for user, mode in (("kube-controller-manager", "644"), ("kube-scheduler", "644"), ("admin", "600"))
        ),
        Directory("/root/.kube", "700"),
        Link("/root/.kube/config", ADMIN_KUBECONFIG, keep_existing=True),
        *units(here.cluster, master, signing_ca),
    )
    return Component(files, tuple(certificates), binaries(here.cluster, here.seen.arch))


def binaries(cluster: Cluster, arch: str) -> tuple[Needed, ...]:
    return (Needed(artifact("kubernetes", cluster.release.kubernetes, arch), KUBERNETES_BIN, BINARIES),)


def units(cluster: Cluster, master: Machine, signing_ca: str = KUBERNETES_CA) -> list[Wanted]:
    """The unit files; inputs are all files that the process reads when it starts."""
    own = {certificate.spec.common_name: certificate.files for certificate in master_certificates(cluster)}
    shared = [KUBERNETES_CA, SERVICE_ACCOUNT_KEY, FRONT_PROXY_CA]
    others = (CONTROLLER_MANAGER_USER, SCHEDULER_USER, "admin")
    apiserver_certificates = [path for user, files in own.items() if user not in others for path in files]
    return [
        _unit(
            APISERVER,
            "Kubernetes API server",
            flags.apiserver_flags(cluster, master),
            [
                *shared,
                *apiserver_certificates,
                MASTER_ETCD_CA,
                SERVICE_ACCOUNT_PUBLIC_KEY,
                *([TOKEN_CSV] if cluster.bootstrap_tokens == "static" else []),
                f"{KUBERNETES_CFG}/audit-policy.yaml",
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
            flags.controller_manager_flags(cluster, signing_ca),
            [
                *shared,
                KUBERNETES_CA_KEY,
                *([signing_ca] if signing_ca != KUBERNETES_CA else []),
                f"{KUBERNETES_CFG}/kube-controller-manager.kubeconfig",
                *own[CONTROLLER_MANAGER_USER],
            ],
        ),
        _unit(
            SCHEDULER,
            "Kubernetes scheduler",
            flags.scheduler_flags(cluster),
            [KUBERNETES_CA, f"{KUBERNETES_CFG}/kube-scheduler.kubeconfig", *own[SCHEDULER_USER]],
        ),
    ]


def _unit(unit: Unit, title: str, arguments: dict[str, str], inputs: list[str], lines: list[str] | None = None) -> File:
    name = unit.name.removesuffix(".service")
    text = template(
        "component.service.j2",
        description=title,
        documentation=f"https://kubernetes.io/docs/reference/command-line-tools-reference/{name}/",
        service_lines=lines or [],
        unit=unit.name,
        inputs=[unit.file, *inputs],
        binary=unit.binary,
        flags=arguments,
    )
    return File(unit.file, text)


def _kubeconfig(cluster: Cluster, master: Machine, user: str) -> str:
    """Each component uses the API server of its own master: if that is down, those of another master take over."""
    return kubeconfig(
        server=f"https://{cluster.apiserver(master)}",
        user=user,
        ca=PurePosixPath(KUBERNETES_CA),
        certificate=PurePosixPath(f"{KUBERNETES_SSL}/{user}.pem"),
        key=PurePosixPath(f"{KUBERNETES_SSL}/{user}-key.pem"),
    )


def others_ready(here: Here) -> Probe | None:
    """
    The other masters must be ready before this one restarts; checked on the machine, right before that. A master that
    is not ready itself may always restart.
    """
    others = [f"https://{here.cluster.apiserver(one)}/readyz" for one in here.cluster.masters if one != here.machine]
    if not others:
        return None
    all_ready = " && ".join(f"{CURL} -sSf --max-time 5 --cacert {KUBERNETES_CA} {url}" for url in others)
    return Probe("the other API servers are ready", f"! {READY.command} || {{ {all_ready}; }}", 60)


def answers(cluster: Cluster) -> Probe:
    """At least one master's API server is ready; checked from any machine."""
    any_ready = " || ".join(
        f"{CURL} --silent --fail --insecure --max-time 5 --output /dev/null https://{cluster.apiserver(master)}/readyz"
        for master in cluster.masters
    )
    return Probe("an API server answers", any_ready)
