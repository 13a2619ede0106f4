"""A certificate is reissued for a real reason, which is named, and for nothing else."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from certificate_samples import (
    ADMIN,
    ADMIN_CERTIFICATE,
    CLUSTER_CA,
    ETCD,
    LEAVES,
    NOW,
    OTHER_CA,
    private_pem,
    reasons,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from kubeinfra.pki.ca import CA
from kubeinfra.pki.judge import reasons_to_reissue
from kubeinfra.pki.keys import public_key_pem
from kubeinfra.pki.spec import CertificateSpec, Issued


def without_pem_armour(pem: str) -> bytes:
    return base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-----")))


def with_pem_armour(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"


@given(LEAVES, st.integers(365, 8000))
def test_a_fresh_certificate_has_no_reason_to_be_reissued(spec: CertificateSpec, days: int) -> None:
    issued = CLUSTER_CA.issue(spec, days, NOW)
    assert reasons(spec, issued) == []


WANTED = replace(ETCD, organization="system:etcd")
MUTATIONS: dict[str, Callable[[CertificateSpec], CertificateSpec]] = {
    "common name is etcd09, not etcd01": lambda spec: replace(spec, common_name="etcd09"),
    "organization is none, not system:etcd": lambda spec: replace(spec, organization=None),
    "organization is other, not system:etcd": lambda spec: replace(spec, organization="other"),
    "usage is server, not client and server": lambda spec: replace(spec, usage="server"),
    "usage is client, not client and server": lambda spec: replace(spec, usage="client"),
    "name etcd01 added": lambda spec: replace(spec, dns_names=()),
    "name old removed": lambda spec: replace(spec, dns_names=("old", *spec.dns_names)),
    "address 192.168.80.10 added": lambda spec: replace(spec, addresses=()),
    "address 10.9.9.9 removed": lambda spec: replace(spec, addresses=(*spec.addresses, IPv4Address("10.9.9.9"))),
}


@pytest.mark.parametrize("reason", MUTATIONS)
def test_each_difference_is_exactly_its_own_reason(reason: str) -> None:
    assert reasons(WANTED, CLUSTER_CA.issue(MUTATIONS[reason](WANTED), 365, NOW)) == [reason]


def test_several_differences_are_all_named() -> None:
    another_family: Any = (IPv6Address("fd00::1"),)  # none of ours has any
    foreign = replace(WANTED, organization=None, dns_names=("old",), addresses=another_family)
    issued = OTHER_CA.issue(foreign, 365, NOW)
    assert reasons(WANTED, issued) == [
        "issued by another CA",
        "organization is none, not system:etcd",
        "name etcd01 added",
        "address 192.168.80.10 added",
        "name old removed",
        "address fd00::1 removed",
    ]


@pytest.mark.parametrize("ca", [OTHER_CA, CA.create("etcd-ca", 10, NOW), None])
def test_another_ca_is_a_reason_even_with_the_same_name(ca: CA | None) -> None:
    public = public_key_pem(ADMIN_CERTIFICATE.key_pem)
    found = reasons_to_reissue(ADMIN, ca, ADMIN_CERTIFICATE.certificate_pem, public, NOW)
    assert found == ["issued by another CA"]


@pytest.mark.parametrize(
    ("public_key", "reason"),
    [
        (public_key_pem(OTHER_CA.key_pem), "the key does not match"),
        (None, "the key is missing or not readable"),
        ("", "the key is missing or not readable"),
    ],
)
def test_a_key_that_is_not_the_certificates_is_a_reason(public_key: str | None, reason: str) -> None:
    found = reasons_to_reissue(ADMIN, CLUSTER_CA, ADMIN_CERTIFICATE.certificate_pem, public_key, NOW)
    assert found == [reason]


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        (None, "missing"),
        ("", "not readable as a certificate"),
        (ADMIN_CERTIFICATE.certificate_pem[:200], "not readable as a certificate"),
        (ADMIN_CERTIFICATE.key_pem, "not readable as a certificate"),
    ],
)
def test_a_missing_or_damaged_certificate_is_the_only_reason(certificate: str | None, reason: str) -> None:
    assert reasons_to_reissue(ADMIN, CLUSTER_CA, certificate, None, NOW) == [reason]


PARSED_ADMIN_CERTIFICATE = x509.load_pem_x509_certificate(ADMIN_CERTIFICATE.certificate_pem.encode())


@given(st.data())
def test_a_certificate_with_a_changed_byte_is_reissued_never_a_crash(data: st.DataObject) -> None:
    der = bytearray(without_pem_armour(ADMIN_CERTIFICATE.certificate_pem))
    # What is signed; behind it some bytes say nothing, and may be another.
    signed = len(PARSED_ADMIN_CERTIFICATE.tbs_certificate_bytes)
    der[data.draw(st.integers(0, signed - 1))] ^= data.draw(st.integers(1, 255))
    public = public_key_pem(ADMIN_CERTIFICATE.key_pem)
    assert reasons_to_reissue(ADMIN, CLUSTER_CA, with_pem_armour(bytes(der)), public, NOW)


def test_a_certificate_without_a_usage_or_names_says_none() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "etcd01")])
    issuer = CLUSTER_CA.certificate.subject
    bare = x509.CertificateBuilder(issuer, name, key.public_key(), 1).not_valid_before(NOW)
    certificate = bare.not_valid_after(NOW + timedelta(days=365)).sign(CLUSTER_CA.key, hashes.SHA256())
    issued = Issued(certificate.public_bytes(serialization.Encoding.PEM).decode(), private_pem(key))
    assert reasons(ETCD, issued) == [
        "usage is none, not client and server",
        "name etcd01 added",
        "address 192.168.80.10 added",
    ]


@pytest.mark.parametrize(
    ("days_left", "expected"),
    [
        (31, None),
        (29, "in 29 days"),
        (1, "in 1 day"),
        (0, "in 0 days"),
    ],
)
def test_a_certificate_is_renewed_thirty_days_before_its_end(days_left: int, expected: str | None) -> None:
    ends = NOW + timedelta(days=365)
    issued = CLUSTER_CA.issue(ADMIN, 365, NOW)
    found = reasons(ADMIN, issued, now=ends - timedelta(days=days_left))
    assert found == ([] if expected is None else [f"ends on {ends:%F}, {expected}"])


def test_an_ended_certificate_and_one_from_the_future_are_reissued() -> None:
    issued = CLUSTER_CA.issue(ADMIN, 365, NOW)
    ends = NOW + timedelta(days=365)
    assert reasons(ADMIN, issued, now=ends + timedelta(days=3)) == [f"ended on {ends:%F}"]
    begins = NOW - timedelta(minutes=5)
    early = reasons(ADMIN, issued, now=NOW - timedelta(days=1))
    assert early == [f"begins on {begins:%F %T} UTC, later than now"]


@given(st.integers(0, 40))
def test_a_certificate_that_ends_with_its_ca_is_not_reissued_again_and_again(days_left: int) -> None:
    now = CLUSTER_CA.ends - timedelta(days=days_left, hours=1)
    for issued in (CLUSTER_CA.issue(ADMIN, 3650, NOW), CLUSTER_CA.issue(ADMIN, 3650, now)):
        assert reasons(ADMIN, issued, now=now) == []


def test_a_certificate_that_ends_before_its_ageing_ca_is_reissued_once() -> None:
    now = CLUSTER_CA.ends - timedelta(days=20)
    old = CLUSTER_CA.issue(ADMIN, 365, now - timedelta(days=355))
    assert reasons(ADMIN, old, now=now) == [f"ends on {now + timedelta(days=10):%F}, in 10 days"]
    assert reasons(ADMIN, CLUSTER_CA.issue(ADMIN, 365, now), now=now) == []
