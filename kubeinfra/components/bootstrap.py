"""
How a node without a certificate may ask for one: with a token that stays, or with one that ends.

Source: https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/ and .../authentication/
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from secrets import choice
from string import ascii_lowercase, digits

import yaml
from cryptography import x509

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.machine.wanted import File, NoFile
from kubeinfra.paths import TOKEN_CSV

LIFETIME = timedelta(hours=1)
"""Of a token that ends: from the gate of the control plane until the last kubelet has its certificate."""
_USER = "kubelet-bootstrap"
_GROUP = "system:bootstrappers:kubeinfra"


def tokens(cluster: Cluster, token: str | None) -> list[File | NoFile]:
    """The static token file of a master, if its API server reads one."""
    if cluster.bootstrap_tokens == "static":
        return [File(TOKEN_CSV, token_csv(token), "600", secret=True)]
    return [NoFile(TOKEN_CSV, mark=None)]


def token_csv(token: str | None) -> str | None:
    """The static token file: token, user, uid, groups."""
    return f'{token},{_USER},10001,"system:{_USER}"\n' if token else None


def subject(cluster: Cluster) -> str:
    """Of the bindings by which a node may ask for its certificate: whom the API server takes the token's holder for."""
    who = f"User, name: {_USER}" if cluster.bootstrap_tokens == "static" else f'Group, name: "{_GROUP}"'
    return f"{{apiGroup: rbac.authorization.k8s.io, kind: {who}}}"


def new_token() -> str:
    """A random token for a Secret; its parts begin with a letter: the API server's YAML reads 1234e5 as a number."""
    identity, secret = (
        choice(ascii_lowercase) + "".join(choice(ascii_lowercase + digits) for _ in range(length - 1))
        for length in (6, 16)
    )
    return f"{identity}.{secret}"


def secret_manifest(token: str, what_for: str, now: datetime) -> str:
    """The Secret with this token, which the controller-manager removes when it has ended."""
    identity, secret = token.split(".")
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"bootstrap-token-{identity}", "namespace": "kube-system"},
            "type": "bootstrap.kubernetes.io/token",
            "stringData": {
                "description": what_for,
                "token-id": identity,
                "token-secret": secret,
                "expiration": (now + LIFETIME).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "usage-bootstrap-authentication": "true",
                "auth-extra-groups": _GROUP,
            },
        }
    )


def is_good(certificate: str, now: datetime) -> bool:
    """Whether a kubelet goes on with its certificate: else it asks for another one. + certificate: PEM, "" for none"""
    try:
        return x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc > now
    except ValueError:
        return False
