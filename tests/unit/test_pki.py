"""Certificates contain what their specs say, as read by this library and by openssl."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from certificate_samples import (
    ADMIN,
    ADMIN_CERTIFICATE,
    APISERVER,
    CLUSTER_CA,
    ETCD,
    LEAVES,
    NOW,
    OTHER_CA,
    ROWS,
    private_pem,
    reasons,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given

from kubeinfra.errors import KubeinfraError
from kubeinfra.pki.ca import CA, fingerprint
from kubeinfra.pki.keys import new_service_account_key, public_key_pem
from kubeinfra.pki.spec import CertificateSpec

AS_TEXT = (
    "x509",
    "-noout",
    "-text",
    "-nameopt",
    "RFC2253",
)  # without it releases of openssl print CN = or CN=


def openssl(*arguments: object, stdin: str = "") -> str:
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, f"{command} said: {done.stderr}"
    return done.stdout


# --- what a certificate says


@given(LEAVES)
def test_every_spec_is_read_back_from_its_certificate(spec: CertificateSpec) -> None:
    certificate = x509.load_pem_x509_certificate(CLUSTER_CA.issue(spec, 365, NOW).certificate_pem.encode())
    subject = {attribute.oid: attribute.value for attribute in certificate.subject}
    assert subject.pop(NameOID.COMMON_NAME) == spec.common_name
    assert subject.pop(NameOID.ORGANIZATION_NAME, None) == spec.organization
    assert not subject, f"the subject says more than the row: {subject}"
    if not (spec.dns_names or spec.addresses):
        with pytest.raises(x509.ExtensionNotFound):
            certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == sorted(set(spec.dns_names))
    assert names.get_values_for_type(x509.IPAddress) == sorted(set(spec.addresses))


def test_order_and_repetition_of_names_do_not_matter() -> None:
    issued = CLUSTER_CA.issue(APISERVER, 365, NOW)
    shuffled = replace(APISERVER, dns_names=APISERVER.dns_names[::-1] * 2, addresses=APISERVER.addresses[::-1])
    assert reasons(shuffled, issued) == []


@pytest.mark.parametrize("what", ["common_name", "organization"])
@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_name_that_x509_cannot_hold_is_refused_by_name(what: str, name: str) -> None:
    changed: dict[str, Any] = {what: name}
    with pytest.raises(KubeinfraError, match=rf'{what.replace("_", " ")} .*"{name}", {len(name)} characters'):
        replace(ADMIN, **changed)


def test_a_certificate_never_outlives_its_ca_and_is_valid_a_little_before_now() -> None:
    for days, ends in ((30, NOW + timedelta(days=30)), (36500, CLUSTER_CA.ends)):
        issued = CLUSTER_CA.issue(ADMIN, days, NOW)
        certificate = x509.load_pem_x509_certificate(issued.certificate_pem.encode())
        assert certificate.not_valid_after_utc == ends
        assert certificate.not_valid_before_utc == NOW - timedelta(minutes=5)


def test_keys_and_serial_numbers_are_never_used_twice() -> None:
    made = [CLUSTER_CA.issue(ADMIN, 365, NOW) for _ in range(10)]
    serials = {x509.load_pem_x509_certificate(one.certificate_pem.encode()).serial_number for one in made}
    assert len(serials) == len({one.key_pem for one in made}) == 10


def test_no_key_shows_when_an_object_is_printed() -> None:
    issued = CLUSTER_CA.issue(ADMIN, 365, NOW)
    assert "PRIVATE" not in f"{issued!r}"
    assert "key=" not in f"{CLUSTER_CA!r}"


# --- openssl as a witness from outside


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.common_name)
def test_openssl_trusts_the_certificate_for_its_usage_alone(spec: CertificateSpec, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(CLUSTER_CA.signing_pem)
    (tmp_path / "leaf.pem").write_text(CLUSTER_CA.issue(spec, 365, NOW).certificate_pem)
    for usage in ("server", "client"):
        arguments = "-x509_strict", "-purpose", f"ssl{usage}", "-CAfile", tmp_path / "ca.pem"
        verify = ["openssl", "verify", *map(str, arguments), str(tmp_path / "leaf.pem")]
        trusted = subprocess.run(verify, capture_output=True).returncode == 0
        assert trusted is (spec.usage in (usage, "both")), f"as a {usage}"


def test_openssl_prints_what_an_apiserver_certificate_should_contain() -> None:
    text = openssl(*AS_TEXT, stdin=CLUSTER_CA.issue(APISERVER, 365, NOW).certificate_pem)
    for expected in (
        "Subject: CN=kube-apiserver\n",
        "Issuer: CN=kubernetes-ca\n",
        "ASN1 OID: prime256v1",
        "X509v3 Basic Constraints: critical\n                CA:FALSE",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "X509v3 Extended Key Usage: \n                TLS Web Server Authentication\n",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
        "DNS:kubernetes, DNS:kubernetes.default, DNS:kubernetes.default.svc.cluster.local, DNS:localhost, "
        "IP Address:10.0.0.1, IP Address:127.0.0.1, IP Address:192.168.80.10\n",
    ):
        assert expected in text


def test_openssl_prints_what_a_ca_should_contain() -> None:
    text = openssl(*AS_TEXT, stdin=CLUSTER_CA.signing_pem)
    for expected in (
        "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0\n",
        "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n",
        "X509v3 Subject Key Identifier",
        "Subject: CN=kubernetes-ca\n",
    ):
        assert expected in text


def test_fingerprint_and_public_key_are_as_openssl_prints_them() -> None:
    printed = openssl("x509", "-noout", "-fingerprint", "-sha256", stdin=CLUSTER_CA.signing_pem)
    assert printed.strip().split("=")[1] == CLUSTER_CA.fingerprint == fingerprint(CLUSTER_CA.certificate)
    for key in (CLUSTER_CA.issue(ADMIN, 365, NOW).key_pem, new_service_account_key()):
        assert openssl("pkey", "-pubout", stdin=key) == public_key_pem(key)


def test_keys_have_the_oldest_form_that_go_reads() -> None:
    assert CLUSTER_CA.issue(ADMIN, 365, NOW).key_pem.startswith("-----BEGIN EC PRIVATE KEY-----\n")
    assert CLUSTER_CA.key_pem.startswith("-----BEGIN EC PRIVATE KEY-----\n")
    service_account = new_service_account_key()
    assert service_account.startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert "2048 bit" in openssl("pkey", "-noout", "-text", stdin=service_account)


# --- a CA that is read again


def test_a_ca_is_read_back_from_its_pem_and_issues_as_before() -> None:
    again = CA.load(CLUSTER_CA.signing_pem, CLUSTER_CA.key_pem, "here", NOW)
    assert again.fingerprint == CLUSTER_CA.fingerprint
    assert reasons(ADMIN, again.issue(ADMIN, 365, NOW)) == []


def brought_along(key: rsa.RSAPrivateKey, organization: str) -> x509.Certificate:
    """As a company's own tool might make it: RSA, no common name, no key identifiers."""
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)])
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=100))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def test_an_rsa_ca_created_elsewhere_issues_too() -> None:
    key = rsa.generate_private_key(65537, 2048)
    made = CA(brought_along(key, "Example"), key)
    ca = CA.load(made.signing_pem, made.key_pem, "here", NOW)
    assert reasons(ETCD, ca.issue(ETCD, 365, NOW), ca) == []


CERTIFICATE, KEY = CLUSTER_CA.signing_pem, CLUSTER_CA.key_pem


@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [
        pytest.param("", KEY, r"etcd/ca\.pem: is not a readable certificate.*backup", id="empty certificate"),
        pytest.param(CERTIFICATE[:300], KEY, r"etcd/ca\.pem: is not a readable cert", id="half a certificate"),
        pytest.param(KEY, CERTIFICATE, r"etcd/ca\.pem: is not a readable certificate", id="files swapped"),
        pytest.param(
            ADMIN_CERTIFICATE.certificate_pem,
            ADMIN_CERTIFICATE.key_pem,
            r"ca\.pem: .*not the certificate of a CA",
            id="spec",
        ),
        pytest.param(CERTIFICATE, "", r"etcd/ca-key\.pem: is not a readable private key.*cut", id="empty key"),
        pytest.param(CERTIFICATE, KEY[:100], r"etcd/ca-key\.pem: is not a readable private", id="half a key"),
        pytest.param(
            CERTIFICATE,
            OTHER_CA.key_pem,
            r"etcd/ca-key\.pem: is not the key of ca\.pem",
            id="other key",
        ),
        pytest.param(
            CERTIFICATE, private_pem(ed25519.Ed25519PrivateKey.generate()), "bring ECDSA or RSA", id="ed25519"
        ),
        pytest.param(
            CERTIFICATE,
            private_pem(ec.generate_private_key(ec.SECP256R1()), b"secret"),
            "encrypted with a passphrase",
            id="passphrase",
        ),
    ],
)
def test_an_unusable_ca_is_an_error_that_names_the_file(certificate: str, key: str, message: str) -> None:
    with pytest.raises(KubeinfraError, match=message) as caught:
        CA.load(certificate, key, "etcd", NOW)
    assert "\n" not in str(caught.value)
    assert "PRIVATE KEY" not in str(caught.value)


def test_a_ca_from_the_future_is_an_error_about_the_clock() -> None:
    with pytest.raises(KubeinfraError, match=r"ca\.pem: is valid from .* set the clock"):
        CA.load(CERTIFICATE, KEY, "etcd", NOW - timedelta(days=1))


def test_an_expired_ca_is_renewed_by_the_command_that_the_error_names(tmp_path: Path) -> None:
    old = CA.create("etcd-ca", years=1, now=NOW - timedelta(days=400))
    certificate, key = tmp_path / "ca.pem", tmp_path / "ca-key.pem"
    certificate.write_text(old.signing_pem)
    key.write_text(old.key_pem)
    with pytest.raises(KubeinfraError, match=f"ended on {old.ends:%F}") as caught:
        CA.load(old.signing_pem, old.key_pem, str(tmp_path), NOW)
    command = str(caught.value).partition("own key: ")[2]
    openssl(*command.split()[1:])
    renewed = CA.load(certificate.read_text(), key.read_text(), str(tmp_path))
    assert renewed.ends > NOW + timedelta(days=3600)
    assert "CA:TRUE, pathlen:0" in openssl("x509", "-noout", "-text", "-in", certificate)


def test_public_key_of_a_damaged_key_is_an_error_that_names_it() -> None:
    with pytest.raises(KubeinfraError, match=r"sa\.key: is not a readable private key"):
        public_key_pem("-----BEGIN RSA PRIVATE KEY-----\n", "sa.key")
