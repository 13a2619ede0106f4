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
    A machine that trusts a CA which this controller does not have belongs to another's cluster.

    One certificate in common is enough: then the machine is only behind or ahead of a rotation, verifies its peers by
    the one that both know, and gets the whole bundle in this run, before anything that the signing CA issues now.
    What is damaged on the machine is put right from ours.

    + trusted: name of a CA -> PEM bundle that the machine has; + cas: what `directory` has
    """
    findings = []
    for name in CA_NAMES:
        theirs, ours = _readable(trusted.get(name, "")), cas[name]
        mine = ours.trusted if ours else ()
        if theirs and not any(same_key(one, other) for one in theirs for other in mine):
            findings.append(_another_cluster(machine, name, theirs, mine, directory))
    return findings


def _another_cluster(
    machine: str, name: CAName, theirs: Iterable[x509.Certificate], mine: Iterable[x509.Certificate], directory: Path
) -> Finding:
    has = f"has another one, {_fingerprints(mine)}" if mine else "has none"
    return Finding(
        "CAs",
        machine,
        "error",
        f"trusts authority {name} {_fingerprints(theirs)}; {directory} {has}",
        remedy="Bring that directory from the controller that set the cluster up; a second authority would cut it off",
        joints=("; ", ". "),
    )


def _fingerprints(certificates: Iterable[x509.Certificate]) -> str:
    return " and ".join(map(fingerprint, certificates))


def _readable(bundle: str) -> list[x509.Certificate]:
    """Those that can be read; one that is damaged does not hide the others."""
    found = []
    for pem in _PEM.findall(bundle):
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            certificate.public_key()
        except UNREADABLE:
            continue
        found.append(certificate)
    return found
