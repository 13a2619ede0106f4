"""kubeconfig documents, as `kubectl config` writes them."""

from __future__ import annotations

import base64
from pathlib import PurePosixPath

import yaml

PathOrPem = PurePosixPath | str
"""A path on the machine, which the kubeconfig refers to, or a PEM text, which is embedded in it."""

CLUSTER = "kubernetes"
CONTEXT = "default"


def kubeconfig(
    *,
    server: str,
    user: str,
    ca: PathOrPem,
    certificate: PathOrPem | None = None,
    key: PathOrPem | None = None,
    token: str | None = None,
) -> str:
    """
    A kubeconfig with one cluster, one user and one context: YAML text, the same for the same arguments.

    With paths only, the text holds no secret, and the component itself reads a renewed certificate; with an
    embedded key or a token, the whole text is secret.

    + server: "https://192.168.80.10:6443"
    + user: name of the entry, such as "kube-proxy"; the server takes the user from the certificate or the token
    + ca: certificate of the CA that issued the server's certificate
    + certificate, key: the client's; give both, or a token instead
    """
    return yaml.dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "preferences": {},
            "clusters": [
                {
                    "name": CLUSTER,
                    "cluster": {"server": server, **_refer("certificate-authority", ca)},
                }
            ],
            "users": [{"name": user, "user": _credentials(certificate, key, token)}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CLUSTER, "user": user}}],
            "current-context": CONTEXT,
        },
        Dumper=_Dumper,
        default_flow_style=False,
    )


class _Quoted(str):
    """Text that is always written in quotes: Go's YAML reads 12e34 as a number, PyYAML writes it bare."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def _credentials(certificate: PathOrPem | None, key: PathOrPem | None, token: str | None) -> dict[str, str]:
    match certificate, key, token:
        case None, None, str():
            return {"token": _Quoted(token)}
        case PurePosixPath() | str(), PurePosixPath() | str(), None:
            return {**_refer("client-certificate", certificate), **_refer("client-key", key)}
    raise ValueError("a kubeconfig needs a certificate and its key, or a token")


def _refer(name: str, content: PathOrPem) -> dict[str, str]:
    if isinstance(content, PurePosixPath):
        return {name: str(content)}
    if not content.startswith("-----BEGIN "):
        raise ValueError(f"{name}: give a path as PurePosixPath, or the PEM text itself")
    return {f"{name}-data": base64.b64encode(content.encode()).decode()}
