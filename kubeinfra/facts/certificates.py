"""Certificates on a machine, with the public half of their keys: a private key never leaves it."""

from __future__ import annotations

from base64 import b64decode
from shlex import quote

from pyinfra.api import FactBase

from kubeinfra.machine.state import CertificateState


class CertificateStates(FactBase[dict[str, CertificateState]]):
    """
    State of each pair of certificate and key file: certificate path -> CertificateState.

    + pairs: certificate path -> key path; a pair without any file has empty values
    """

    default = dict

    def command(self, pairs: dict[str, str]) -> str:
        blocks = []
        for certificate, key in pairs.items():
            blocks.append(
                f"echo pair {quote(certificate)}; "
                f"stat -c 'certificate-mode %a %U:%G' {quote(certificate)}; "
                f"stat -c 'key-mode %a %U:%G' {quote(key)}; "
                f'echo "certificate $(base64 -w0 {quote(certificate)})"; '
                f"echo key; openssl pkey -in {quote(key)} -passin pass: -pubout"
            )
        # A missing file is an answer here, so its error message is discarded.
        return f"exec 2>/dev/null; {'; '.join(blocks)}; exit 0"

    def process(self, output: list[str]) -> dict[str, CertificateState]:
        found: dict[str, dict[str, list[str]]] = {}
        path = ""
        for line in output:
            word, _, rest = line.partition(" ")
            if word == "pair":
                path = rest
                found[path] = {}
            elif word in ("certificate-mode", "key-mode"):
                found[path][word] = [rest]
            elif word == "certificate":
                found[path][word] = b64decode(rest).decode(errors="replace").splitlines()
            elif line == "key":
                found[path]["key"] = []
            elif line:
                found[path]["key"].append(line)
        return {path: _state(parts) for path, parts in found.items()}


def _state(parts: dict[str, list[str]]) -> CertificateState:
    def text(name: str) -> str | None:
        return "\n".join(parts.get(name, [])) + "\n" if parts.get(name) else None

    def mode(name: str) -> str:
        return parts.get(name, [""])[0]

    return CertificateState(text("certificate"), text("key"), mode("certificate-mode"), mode("key-mode"))
