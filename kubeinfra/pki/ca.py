"""
CAs and the certificates that they issue.

Times are aware datetimes in UTC. Keys are ECDSA P-256 in SEC1 ("EC PRIVATE KEY"), which every release of
Kubernetes and etcd reads. Whether a machine's certificate is still good is decided in `kubeinfra/pki/judge.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from kubeinfra.errors import KubeinfraError
from kubeinfra.pki.keys import UNREADABLE, SigningKey, load_key, private_key_pem, public_key_der
from kubeinfra.pki.spec import EXTENDED_KEY_USAGE, CertificateSpec, Issued

CERTIFICATE_FILE = "ca.pem"
KEY_FILE = "ca-key.pem"

# kubeadm and the controller-manager backdate by the same time: a machine whose clock is a little slow accepts a
# certificate that was issued just now.
CLOCK_SKEW = timedelta(minutes=5)

RESTORE_CA = (
    "restore it from a backup. Only if no machine has a certificate of this CA yet, "
    "remove its directory: the next run makes a new one"
)


@dataclass(frozen=True)
class CA:
    """
    A CA: the certificate that signs, with its key, and further certificates that are trusted.

    + certificate, key: for signing; + others: also trusted, such as the certificate that signed before a rotation
    """

    certificate: x509.Certificate
    key: SigningKey = field(repr=False)
    others: tuple[x509.Certificate, ...] = ()

    @classmethod
    def create(cls, common_name: str, years: int, now: datetime | None = None) -> CA:
        """A new CA with a new key, for `years` of 365 days; nothing is written anywhere."""
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
    def load(
        cls,
        cert_pem: str,
        key_pem: str,
        source: str,
        now: datetime | None = None,
        trusted: Mapping[str, str] = MappingProxyType({}),
    ) -> CA:
        """
        The CA in these PEM texts, created here or elsewhere (then RSA is as good as ECDSA).

        + cert_pem, key_pem: for signing; + trusted: file name -> certificates that are also trusted, any number
        + source: the directory that they were read from, for messages

        Raises KubeinfraError if a text is unreadable, if key and certificate do not match, if a certificate is not
        that of a CA, or if the signing certificate is not valid yet or has expired.
        """
        certificate = _load_certificate(cert_pem, f"{source}/{CERTIFICATE_FILE}")
        key = load_key(key_pem, f"{source}/{KEY_FILE}", RESTORE_CA)
        if public_key_der(certificate.public_key()) != public_key_der(key.public_key()):
            raise KubeinfraError(f"{source}/{KEY_FILE}: is not the key of {CERTIFICATE_FILE} next to it; {RESTORE_CA}")
        _check_life(certificate, source, now or datetime.now(UTC))
        others = [one for file, pem in trusted.items() for one in _load_trusted(pem, f"{source}/{file}")]
        return cls(certificate, key, tuple(others))

    @property
    def trusted(self) -> tuple[x509.Certificate, ...]:
        """
        Each trusted certificate once, including the signing one, the oldest first.

        The order does not depend on which of them signs: if another certificate of the set starts to sign, no file
        changes, and nothing restarts.
        """
        return tuple(sorted({*self.others, self.certificate}, key=lambda one: (one.not_valid_before_utc, _pem(one))))

    @property
    def bundle_pem(self) -> str:
        """All trusted certificates, for verifying: the content of every ca.pem and of kubeconfigs."""
        return "".join(map(_pem, self.trusted))

    @property
    def signing_pem(self) -> str:
        """The signing certificate alone, for signing: the controller-manager rejects a file with two certificates."""
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
        """A certificate for `spec` with a new key, valid for `days`, but not longer than the signing certificate."""
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
        except x509.ExtensionNotFound:  # a CA created elsewhere may have none
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 as `openssl x509 -fingerprint -sha256` prints it: AB:CD:..., 32 pairs."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def certificates_in(bundle_pem: str) -> list[x509.Certificate]:
    """All certificates of a PEM text, in its order; ValueError if it has none, or a damaged one."""
    return x509.load_pem_x509_certificates(bundle_pem.encode())


def same_key(one: x509.Certificate, other: x509.Certificate) -> bool:
    """Whether both certificates have the same key, so that each verifies what the other has signed."""
    return public_key_der(one.public_key()) == public_key_der(other.public_key())


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
    except UNREADABLE as error:
        raise _unreadable(file) from error
    _require_cas([certificate], file)
    return certificate


def _load_trusted(pem: str, file: str) -> list[x509.Certificate]:
    try:
        certificates = certificates_in(pem)
    except UNREADABLE as error:
        raise _unreadable(file) from error
    _require_cas(certificates, file)
    return certificates


def _unreadable(file: str) -> KubeinfraError:
    return KubeinfraError(f"{file}: is not a readable certificate (cut off or damaged); {RESTORE_CA}")


def _require_cas(certificates: Iterable[x509.Certificate], file: str) -> None:
    try:
        good = all(_may_sign(one.extensions) for one in certificates)
    except UNREADABLE as error:
        raise _unreadable(file) from error
    if not good:
        raise KubeinfraError(f"{file}: is not the certificate of a CA (no CA:TRUE); {RESTORE_CA}")


def _may_sign(extensions: x509.Extensions) -> bool:
    try:
        return extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


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
