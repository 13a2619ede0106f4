"""Whether a machine trusts the CAs that this controller has, or another cluster's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography import x509

from kubeinfra.findings import Finding
from kubeinfra.pki.ca import CA, fingerprint, same_key
from kubeinfra.pki.keys import UNREADABLE
from kubeinfra.pki.secrets import CA_NAMES
from kubeinfra.pki.spec import CAName

_PEM = re.compile("-----BEGIN CERTIFICATE-----(?:(?!-----BEGIN).)*?-----END CERTIFICATE-----", re.DOTALL)


def trust_findings(
    machine: str, trusted: Mapping[str, str], cas: Mapping[CAName, CA | None], directory: Path
) -> list[Finding]:
    """
    An error for each CA that the machine trusts and this controller does not have: it belongs to another cluster.

    One certificate in common is enough: then the machine is only behind or ahead of a rotation, verifies its peers
    with the certificate that both have, and gets the whole bundle in this run, before any certificate that the CA
    issues now. A damaged file on the machine is replaced by the controller's.

    + trusted: name of a CA -> PEM bundle that the machine has; + cas: what `directory` has
    """
    findings = []
    for name in CA_NAMES:
        on_machine, ca = _readable(trusted.get(name, "")), cas[name]
        on_controller = ca.trusted if ca else ()
        if on_machine and not any(same_key(one, other) for one in on_machine for other in on_controller):
            findings.append(_another_cluster(machine, name, on_machine, on_controller, directory))
    return findings


def _another_cluster(
    machine: str,
    name: CAName,
    on_machine: Iterable[x509.Certificate],
    on_controller: Iterable[x509.Certificate],
    directory: Path,
) -> Finding:
    has = f"has another one, {_fingerprints(on_controller)}" if on_controller else "has none"
    return Finding(
        "CAs",
        machine,
        "error",
        f"trusts CA {name} {_fingerprints(on_machine)}; {directory} {has}",
        remedy="Bring that directory from the controller that set the cluster up; a second CA would cut it off",
        joints=("; ", ". "),
    )


def _fingerprints(certificates: Iterable[x509.Certificate]) -> str:
    return " and ".join(map(fingerprint, certificates))


def _readable(bundle: str) -> list[x509.Certificate]:
    """The certificates of a bundle that can be read; a damaged one does not hide the others."""
    found = []
    for pem in _PEM.findall(bundle):
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            certificate.public_key()
        except UNREADABLE:
            continue
        found.append(certificate)
    return found
