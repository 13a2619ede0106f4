"""What the controller makes for the cluster: authorities, shared secrets, the administrator's kubeconfig."""

from __future__ import annotations

import secrets
from base64 import b64decode
from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime
from typing import Any

import yaml
from pyinfra import host, state
from pyinfra.api import FunctionCommand, operation

from kubeinfra.controller import controller, keep_others_away
from kubeinfra.errors import KubeinfraError
from kubeinfra.inventory import cluster, shown_as_message
from kubeinfra.kubeconfig import kubeconfig
from kubeinfra.pki import Leaf, new_service_account_key, public_key_pem
from kubeinfra.plan import announce
from kubeinfra.reissue import reasons_to_reissue
from kubeinfra.state import AuthorityName, SecretName

Commands = Generator[FunctionCommand, None, None]
ADMIN = Leaf("kubernetes-admin", "client", "system:masters")

_NEW_SECRETS: dict[SecretName, Callable[[], str]] = {
    "bootstrap-token": lambda: secrets.token_hex(16),
    "vrrp-password": lambda: secrets.token_hex(4),  # VRRP reads 8 characters
    "service-account-key": new_service_account_key,
}


@operation()
def alone() -> Commands:
    """End the run where another one from this controller is at work. A plan may look at any time."""
    if state.is_executing:
        with shown_as_message():
            keep_others_away()
    return
    yield


@operation()
def authorities(names: Sequence[AuthorityName], shared: Sequence[SecretName] = ()) -> Commands:
    """
    Make the authorities and shared secrets that do not exist yet; existing ones are never touched.

    + names: authorities; + shared: names of secrets
    """
    with shown_as_message():
        new = [name for name in names if controller().authority(name) is None]
        new_secrets = [secret for secret in shared if controller().secret(secret) is None]
    years = cluster().settings.authority_years
    for name in new:
        announce(f"make authority {name} in {controller().directory}, for {years} years")
    for secret in new_secrets:
        announce(f"make secret {secret} in {controller().directory}")
    for name in new:
        yield FunctionCommand(controller().create_authority, (name, years), {})
    for secret in new_secrets:
        yield FunctionCommand(controller().create_secret, (secret, _NEW_SECRETS[secret]()), {})
    if not new and not new_secrets:
        host.noop("authorities and secrets are there")


@operation()
def admin_kubeconfig() -> Commands:
    """The administrator's kubeconfig on the controller, with a certificate of its own."""
    with shown_as_message():
        reasons = _reasons_for_new_kubeconfig()
    if not reasons:
        host.noop("the administrator's kubeconfig is good")
        return
    announce(f"write {controller().admin_kubeconfig_path} (secret): {', '.join(reasons)}")
    yield FunctionCommand(_write_admin_kubeconfig, (), {})


def _write_admin_kubeconfig() -> None:
    authority = controller().authority("kubernetes")
    assert authority is not None, "the control plane runs on certificates of this authority"
    issued = authority.issue(ADMIN, 365 * cluster().settings.certificate_years, datetime.now(UTC))
    controller().write_admin_kubeconfig(
        kubeconfig(
            server=cluster().server,
            user="admin",
            authority=authority.certificate_pem,
            certificate=issued.certificate_pem,
            key=issued.key_pem,
        )
    )


def _reasons_for_new_kubeconfig() -> list[str]:
    authority = controller().authority("kubernetes")
    text = controller().admin_kubeconfig()
    if text is None or authority is None:
        return ["missing"]
    try:
        server, ca, certificate, key = _parts(yaml.safe_load(text))
        public_key = public_key_pem(key)
    except (yaml.YAMLError, KeyError, TypeError, IndexError, ValueError, KubeinfraError):
        return ["not readable"]
    reasons = reasons_to_reissue(ADMIN, authority.certificate, certificate, public_key, datetime.now(UTC))
    if ca != authority.certificate_pem:
        reasons.append("another authority")
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
