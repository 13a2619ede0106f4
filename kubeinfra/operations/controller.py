"""What the controller creates for the cluster: CAs, shared secrets, the administrator's kubeconfig."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import yaml
from pyinfra import host, state
from pyinfra.api import FunctionCommand, operation

from kubeinfra.controller.identity import known
from kubeinfra.errors import KubeinfraError
from kubeinfra.pki.judge import reasons_to_reissue
from kubeinfra.pki.keys import new_service_account_key, public_key_pem
from kubeinfra.pki.kubeconfig import kubeconfig
from kubeinfra.pki.secrets import SecretName
from kubeinfra.pki.spec import CAName, CertificateSpec
from kubeinfra.run.context import run
from kubeinfra.run.controller import acquire_run_lock, controller, secrets
from kubeinfra.run.hosts import is_lead_host
from kubeinfra.run.inventory import as_pyinfra_error, cluster
from kubeinfra.run.plan import announce

Commands = Generator[FunctionCommand, None, None]
ADMIN = CertificateSpec("kubernetes-admin", "client", "system:masters")

_NEW_SECRETS: dict[SecretName, Callable[[], str]] = {
    "bootstrap-token": lambda: token_hex(16),
    "vrrp-password": lambda: token_hex(4),  # VRRP reads 8 characters
    "service-account-key": new_service_account_key,
}


@operation()
def require_exclusive_run() -> Commands:
    """
    End the run if another one from this controller is at work; a plan may look at any time.

    Then nothing but this run touches the controller's directory. If it is a cluster's, that is if it has a CA, it is
    brought to this schema and records this inventory's machines; a first run that fails before that records nothing.
    """
    with as_pyinfra_error():
        if state.is_executing:
            acquire_run_lock()
            run().keeps_record = True
        if is_lead_host() and any(secrets().cas.values()):
            _keep_identity()
    return
    yield


def _keep_identity() -> None:
    machines = known(cluster().machines)
    for sentence in controller().pending(machines):
        announce(sentence)
    if state.is_executing:
        clusters = {seen.etcd_cluster for seen in run().machines.values() if seen.etcd_cluster}
        controller().record_identity(machines, clusters.pop() if len(clusters) == 1 else None)


@operation()
def create(cas: Sequence[CAName] = (), shared: Sequence[SecretName] = ()) -> Commands:
    """
    Create the CAs and shared secrets that do not exist yet; existing ones are never touched.

    + cas: names of CAs; + shared: names of secrets
    """
    with as_pyinfra_error():
        new = [name for name in cas if secrets().cas[name] is None]
        new_secrets = [secret for secret in shared if secrets().secret(secret) is None]
    years = cluster().settings.ca_years
    for name in new:
        announce(f"create CA {name} in {controller().directory}, for {years} years")
    for secret in new_secrets:
        announce(f"create secret {secret} in {controller().directory}")
    for name in new:
        yield FunctionCommand(controller().create_ca, (name, years), {})
    if new:
        yield FunctionCommand(controller().record_identity, (known(cluster().machines),), {})
    for secret in new_secrets:
        yield FunctionCommand(controller().create_secret, (secret, _NEW_SECRETS[secret]()), {})
    if not new and not new_secrets:
        host.noop("CAs and secrets are there")


@operation()
def admin_kubeconfig() -> Commands:
    """The administrator's kubeconfig on the controller, with a certificate of its own."""
    with as_pyinfra_error():
        reasons = _reasons_for_new_kubeconfig()
    if not reasons:
        host.noop("the administrator's kubeconfig is good")
        return
    announce(f"write {controller().admin_kubeconfig_path} (secret): {', '.join(reasons)}")
    yield FunctionCommand(_write_admin_kubeconfig, (), {})


def _write_admin_kubeconfig() -> None:
    ca = secrets().cas["kubernetes"]
    assert ca is not None, "the control plane runs on certificates of this CA"
    issued = ca.issue(ADMIN, 365 * cluster().settings.certificate_years, datetime.now(UTC))
    controller().write_admin_kubeconfig(
        kubeconfig(
            server=cluster().server,
            user="admin",
            ca=ca.bundle_pem,
            certificate=issued.certificate_pem,
            key=issued.key_pem,
        )
    )


def _reasons_for_new_kubeconfig() -> list[str]:
    ca = secrets().cas["kubernetes"]
    text = controller().admin_kubeconfig()
    if text is None or ca is None:
        return ["missing"]
    try:
        server, trusted, certificate, key = _parts(yaml.safe_load(text))
        public_key = public_key_pem(key)
    except (yaml.YAMLError, KeyError, TypeError, IndexError, ValueError, KubeinfraError):
        return ["not readable"]
    reasons = reasons_to_reissue(ADMIN, ca, certificate, public_key, datetime.now(UTC))
    if trusted != ca.bundle_pem:
        reasons.append("the CA's certificates are others")
    if server != cluster().server:
        reasons.append(f"server {server} -> {cluster().server}")
    return reasons


def _parts(document: Any) -> tuple[str, str, str, str]:
    its_cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    texts = (
        its_cluster["certificate-authority-data"],
        user["client-certificate-data"],
        user["client-key-data"],
    )
    ca, certificate, key = (b64decode(text).decode() for text in texts)
    return its_cluster["server"], ca, certificate, key
