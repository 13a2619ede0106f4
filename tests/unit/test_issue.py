"""Certificates on a machine are compared with those that it needs, and issued if necessary."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime, timedelta

from certificate_samples import ADMIN, CLUSTER_CA, NOW
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kubeinfra.machine.state import CertificateState
from kubeinfra.machine.wanted import Change
from kubeinfra.pki.ca import CA
from kubeinfra.pki.certificates import Certificate
from kubeinfra.pki.issue import certificate_changes
from kubeinfra.pki.keys import public_key_pem

ROW = Certificate("kubernetes", ADMIN, "/opt/kubernetes/ssl/admin")
CERTIFICATE, KEY = ROW.files


def changes(
    found: Mapping[str, CertificateState], ca: CA | None = CLUSTER_CA, years: int = 2, now: datetime = NOW
) -> list[Change]:
    return certificate_changes([ROW], found, {"kubernetes": ca}, years, now)


def found(key_mode: str = "600 root:root", certificate_mode: str = "644 root:root") -> dict[str, CertificateState]:
    issued = CLUSTER_CA.issue(ADMIN, 365, NOW)
    public = public_key_pem(issued.key_pem)
    return {CERTIFICATE: CertificateState(issued.certificate_pem, public, certificate_mode, key_mode)}


def text(change: Change) -> str:
    """What the instruction for the machine writes."""
    return b64decode(change.instruction.split(" ")[3]).decode()


def test_a_missing_one_is_issued_for_the_years_of_the_setting_with_its_key_before_it() -> None:
    key, certificate = changes({})
    assert key.instruction.startswith(f"file {KEY} 600 ")
    assert certificate.instruction.startswith(f"file {CERTIFICATE} 644 ")
    written = x509.load_pem_x509_certificate(text(certificate).encode())
    assert written.not_valid_after_utc - NOW == timedelta(days=730)
    assert public_key_pem(text(key)) == public_key_pem_of(written)
    assert certificate.sentence == f"issue {CERTIFICATE}: missing"


def test_no_key_is_in_a_sentence_or_a_diff() -> None:
    assert [(change.sentence, change.diff) for change in changes({})] == [
        (f"new key {KEY} (secret)", ()),
        (f"issue {CERTIFICATE}: missing", ()),
    ]


def test_a_good_one_is_left_alone_until_its_last_month() -> None:
    assert changes(found()) == []
    late = changes(found(), now=NOW + timedelta(days=340))
    assert [change.path for change in late] == [KEY, CERTIFICATE]


def test_a_ca_that_a_plan_would_create_first_issues_nothing_yet() -> None:
    (change,) = changes({}, ca=None)
    assert change.instruction == f"unknown {CERTIFICATE}"


def test_a_mode_that_is_too_open_is_corrected_without_a_new_key() -> None:
    (change,) = changes(found(key_mode="644 root:root"))
    assert change.instruction == f"mode {KEY} 600"


def public_key_pem_of(certificate: x509.Certificate) -> str:
    return certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
