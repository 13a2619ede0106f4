"""Whether a certificate on a machine is still good, decided from the machine's own files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeinfra.pki.ca import CA
from kubeinfra.pki.keys import UNREADABLE, public_key_der
from kubeinfra.pki.spec import EXTENDED_KEY_USAGE, CertificateSpec

RENEW_BEFORE = timedelta(days=30)  # certificates are made for a year at least
_USAGES = {ExtendedKeyUsageOID.SERVER_AUTH: "server", ExtendedKeyUsageOID.CLIENT_AUTH: "client"}


def reasons_to_reissue(
    spec: CertificateSpec,
    ca: CA | None,
    certificate_pem: str | None,
    public_key_pem: str | None,
    now: datetime,
) -> list[str]:
    """
    Why this certificate must be issued again: one short sentence for each reason, none if it is good.

    + spec: what the certificate should contain
    + ca: the CA that should have issued it; None if the CA does not exist yet
    + certificate_pem: the certificate on the machine; None if the file is missing
    + public_key_pem: output of `openssl pkey -pubout` for the key on the machine; None if that failed
    + now: a certificate with less than RENEW_BEFORE left is renewed
    """
    if certificate_pem is None:
        return ["missing"]
    try:
        found = _Found.read(certificate_pem)
    except UNREADABLE:
        return ["not readable as a certificate"]
    return [
        *_issuer_reasons(found.certificate, ca),
        *_key_reasons(found.public_key, public_key_pem),
        *_difference("common name", found.common_names, [spec.common_name]),
        *_difference("organization", found.organizations, [spec.organization] if spec.organization else []),
        *_difference("usage", found.usages, _describe_usages(EXTENDED_KEY_USAGE[spec.usage])),
        *_name_reasons(found.names, [_describe(name) for name in spec.alternative_names()]),
        *_life_reasons(found.certificate, ca, now),
    ]


@dataclass(frozen=True)
class _Found:
    """The parts of a certificate that are compared; all are read at once, so that a damaged one fails in one place."""

    certificate: x509.Certificate
    public_key: bytes
    common_names: list[str]
    organizations: list[str]
    usages: list[str]
    names: list[str]

    @classmethod
    def read(cls, pem: str) -> _Found:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        return cls(
            certificate,
            public_key_der(certificate.public_key()),
            _subject(certificate, NameOID.COMMON_NAME),
            _subject(certificate, NameOID.ORGANIZATION_NAME),
            _usages(certificate),
            _names(certificate),
        )


def _subject(certificate: x509.Certificate, attribute: x509.ObjectIdentifier) -> list[str]:
    return [str(found.value) for found in certificate.subject.get_attributes_for_oid(attribute)]


def _usages(certificate: x509.Certificate) -> list[str]:
    try:
        return _describe_usages(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return []


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [_describe(name) for name in found]


def _describe_usages(usages: Iterable[x509.ObjectIdentifier]) -> list[str]:
    return sorted(_USAGES.get(usage, usage.dotted_string) for usage in usages)


def _describe(name: x509.GeneralName) -> str:
    match name:
        case x509.DNSName():
            return f"name {name.value}"
        case x509.IPAddress():
            return f"address {name.value}"
    return f"{type(name).__name__} {name.value}"


def _issuer_reasons(certificate: x509.Certificate, ca: CA | None) -> list[str]:
    if ca is None:
        return ["issued by another CA"]
    if _is_issued_by(certificate, ca.certificate):
        return []
    # It is still trusted everywhere; it is issued again by the signing CA, so that the old one can be removed.
    if any(_is_issued_by(certificate, other) for other in ca.others):
        return ["issued by a CA that is still trusted, but signs no longer"]
    return ["issued by another CA"]


def _is_issued_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _key_reasons(certified: bytes, public_key_pem: str | None) -> list[str]:
    if public_key_pem is None:
        return ["the key is missing or not readable"]
    try:
        on_machine = public_key_der(load_pem_public_key(public_key_pem.encode()))
    except UNREADABLE:
        return ["the key is missing or not readable"]
    return [] if on_machine == certified else ["the key does not match"]


def _difference(what: str, found: list[str], wanted: list[str]) -> list[str]:
    if found == wanted:
        return []
    return [f"{what} is {' and '.join(found) or 'none'}, not {' and '.join(wanted) or 'none'}"]


def _name_reasons(found: list[str], wanted: list[str]) -> list[str]:
    added = [f"{name} added" for name in wanted if name not in found]
    return [*added, *(f"{name} removed" for name in found if name not in wanted)]


def _life_reasons(certificate: x509.Certificate, ca: CA | None, now: datetime) -> list[str]:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begins:
        return [f"begins on {begins:%F %T} UTC, later than now"]
    # One that ends together with its CA would be no younger after renewal.
    capped = ca is not None and ends >= ca.ends
    if capped or now + RENEW_BEFORE <= ends:
        return []
    return [f"ended on {ends:%F}"] if ends < now else [f"ends on {ends:%F}, {_in_days(ends - now)}"]


def _in_days(left: timedelta) -> str:
    return "in 1 day" if left.days == 1 else f"in {left.days} days"
