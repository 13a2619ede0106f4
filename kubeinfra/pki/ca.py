"""
Authorities and the certificates that they issue.

Times are aware datetimes in UTC. Keys are ECDSA P-256 in SEC1 ("EC PRIVATE KEY"), which every release of
Kubernetes and etcd reads. Whether a machine's certificate is still good is decided in `kubeinfra/pki/judge.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeinfra.errors import KubeinfraError

CERTIFICATE_FILE = "ca.pem"
KEY_FILE = "ca-key.pem"

# kubeadm and the controller-manager backdate by as much: a machine whose clock is a little slow accepts
# a certificate that was made just now.
CLOCK_SKEW = timedelta(minutes=5)

# What `cryptography` raises, besides ValueError, for bytes that only look like PEM or DER.
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

CAName = Literal["etcd", "kubernetes", "front-proxy"]
Usage = Literal["server", "client", "both"]
SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey  # Kubernetes reads no other, Ed25519 included

EXTENDED_KEY_USAGE: dict[Usage, tuple[x509.ObjectIdentifier, ...]] = {
    "server": (ExtendedKeyUsageOID.SERVER_AUTH,),
    "client": (ExtendedKeyUsageOID.CLIENT_AUTH,),
    "both": (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
}

RESTORE_CA = (
    "restore it from a backup. Only if no machine has a certificate of this authority yet, "
    "remove its directory: the next run makes a new one"
)


@dataclass(frozen=True)
class CertificateSpec:
    """
    What a certificate should say; the order of names and addresses does not matter.

    common_name and organization are the user and the group for Kubernetes. Clients find a server by
    dns_names and addresses only: the common name is ignored since Kubernetes 1.19.
    Raises KubeinfraError for a name that X.509 cannot hold (more than 64 characters, RFC 5280 appendix A.1).
    """

    common_name: str
    usage: Usage
    organization: str | None = None
    dns_names: tuple[str, ...] = ()
    addresses: tuple[IPv4Address, ...] = ()

    def __post_init__(self) -> None:
        for what, name in (("common name", self.common_name), ("organization", self.organization)):
            if name is not None and not 1 <= len(name) <= 64:
                raise KubeinfraError(
                    f'the {what} of a certificate would be "{name}", {len(name)} characters; '
                    "1 to 64 are allowed: choose a shorter name for the machine or the user"
                )

    def subject(self) -> x509.Name:
        common_name = x509.NameAttribute(NameOID.COMMON_NAME, self.common_name)
        if self.organization is None:
            return x509.Name([common_name])
        return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organization), common_name])

    def alternative_names(self) -> list[x509.GeneralName]:
        """Each name and address once, sorted, names first."""
        return [
            *(x509.DNSName(name) for name in sorted(set(self.dns_names))),
            *(x509.IPAddress(address) for address in sorted(set(self.addresses))),
        ]


@dataclass(frozen=True)
class Issued:
    """A certificate with the key that was made for it; the key is kept nowhere else and never printed."""

    certificate_pem: str
    key_pem: str = field(repr=False)


@dataclass(frozen=True)
class CA:
    """A self-signed certificate that signs others, with its key."""

    certificate: x509.Certificate
    key: SigningKey = field(repr=False)

    @classmethod
    def create(cls, common_name: str, years: int, now: datetime | None = None) -> CA:
        """A new authority with a new key, for `years` of 365 days; nothing is written anywhere."""
        now = now or datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = (
            _builder(subject, subject, key.public_key(), now, now + timedelta(days=365 * years))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, cert_pem: str, key_pem: str, source: str, now: datetime | None = None) -> CA:
        """
        The authority in these two PEM texts, made here or brought along (then RSA is as good as ECDSA).

        source is the directory that they were read from, for the message.
        Raises KubeinfraError when one is unreadable, when they do not belong together, when the certificate
        is no authority, or when its life has not begun or is over.
        """
        certificate = _load_certificate(cert_pem, f"{source}/{CERTIFICATE_FILE}")
        key = _load_key(key_pem, f"{source}/{KEY_FILE}", RESTORE_CA)
        if public_key_der(certificate.public_key()) != public_key_der(key.public_key()):
            raise KubeinfraError(f"{source}/{KEY_FILE}: is not the key of {CERTIFICATE_FILE} beside it; {RESTORE_CA}")
        _check_life(certificate, source, now or datetime.now(UTC))
        return cls(certificate, key)

    @property
    def certificate_pem(self) -> str:
        return _pem(self.certificate)

    @property
    def key_pem(self) -> str:
        return private_key_pem(self.key)

    @property
    def fingerprint(self) -> str:
        """SHA-256 as `openssl x509 -fingerprint -sha256` prints it: AB:CD:..., 32 pairs."""
        return fingerprint(self.certificate)

    @property
    def ends(self) -> datetime:
        return self.certificate.not_valid_after_utc

    def issue(self, spec: CertificateSpec, days: int, now: datetime) -> Issued:
        """A certificate for this leaf with a new key, valid for `days`, at most as long as the authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        ends = min(now + timedelta(days=days), self.ends)
        builder = (
            _builder(spec.subject(), self.certificate.subject, key.public_key(), now, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage("digital_signature"), critical=True)
            .add_extension(x509.ExtendedKeyUsage(EXTENDED_KEY_USAGE[spec.usage]), critical=False)
            .add_extension(self._key_identifier(), critical=False)
        )
        if names := spec.alternative_names():  # an empty list of names is not allowed (RFC 5280, 4.2.1.6)
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return Issued(_pem(builder.sign(self.key, hashes.SHA256())), private_key_pem(key))

    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        try:
            own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except x509.ExtensionNotFound:  # an authority that was brought along may have none
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 as `openssl x509 -fingerprint -sha256` prints it: AB:CD:..., 32 pairs."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def new_service_account_key() -> str:
    """
    A new key for signing service account tokens, PEM.

    RSA 2048 and not ECDSA: releases take both, but RS256 is the one signature that every outside verifier of
    tokens must know (OpenID Connect Core 1.0, section 15.1), and it is what kubeadm makes.
    """
    return private_key_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def public_key_pem(private_pem: str, source: str = "the private key") -> str:
    """
    The public half, as `openssl pkey -pubout` prints it.

    Raises KubeinfraError naming source when private_pem is no RSA or ECDSA key.
    """
    public = _load_key(private_pem, source, "restore it from a backup").public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(serialization.Encoding.PEM, form).decode()


def private_key_pem(key: SigningKey) -> str:
    """SEC1 for ECDSA, PKCS#1 for RSA; not encrypted, for the processes that use it start unattended."""
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def public_key_der(key: PublicKeyTypes) -> bytes:
    """The same bytes for the same key, whatever file it came from."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*allowed: str) -> x509.KeyUsage:
    every = [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ]
    return x509.KeyUsage(**{usage: usage in allowed for usage in every})


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _load_certificate(pem: str, file: str) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        is_authority = _may_sign(certificate.extensions)
    except UNREADABLE as error:
        raise KubeinfraError(f"{file}: is not a readable certificate (cut off or damaged); {RESTORE_CA}") from error
    if not is_authority:
        raise KubeinfraError(f"{file}: is a certificate, but not of an authority (no CA:TRUE); {RESTORE_CA}")
    return certificate


def _may_sign(extensions: x509.Extensions) -> bool:
    try:
        return extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _load_key(pem: str, file: str, advice: str) -> SigningKey:
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except UNREADABLE as error:
        # TypeError is how `cryptography` says that a passphrase is needed.
        reason = "encrypted with a passphrase" if isinstance(error, TypeError) else "cut off or damaged"
        raise KubeinfraError(f"{file}: is not a readable private key ({reason}); {advice}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise KubeinfraError(f"{file}: is a key of a kind that Kubernetes cannot use; bring ECDSA or RSA")
    return key


def _check_life(certificate: x509.Certificate, source: str, now: datetime) -> None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    file, key_file = f"{source}/{CERTIFICATE_FILE}", f"{source}/{KEY_FILE}"
    if now < begins:
        raise KubeinfraError(f"{file}: is valid from {begins:%F %T} UTC, it is {now:%F %T} now; set the clock")
    if now > ends:
        raise KubeinfraError(
            f"{file}: ended on {ends:%F}, and with it every certificate that it issued; "
            f"renew it with its own key: openssl x509 -in {file} -signkey {key_file} -days 3650 -out {file}"
        )
