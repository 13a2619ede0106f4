"""Private keys: made, read, and their public halves. A key is PEM text, never encrypted, and never printed."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from kubeinfra.errors import KubeinfraError

# What `cryptography` raises, in addition to ValueError, for bytes that only look like PEM or DER.
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey  # Kubernetes reads no other, Ed25519 included


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
    public = load_key(private_pem, source, "restore it from a backup").public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(serialization.Encoding.PEM, form).decode()


def private_key_pem(key: SigningKey) -> str:
    """SEC1 for ECDSA, PKCS#1 for RSA; not encrypted, for the processes that use it start unattended."""
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def public_key_der(key: PublicKeyTypes) -> bytes:
    """The same bytes for the same key, whatever file it came from."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def load_key(pem: str, file: str, advice: str) -> SigningKey:
    """The key in this PEM text; KubeinfraError naming `file`, with `advice`, if Kubernetes cannot read it."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except UNREADABLE as error:
        # TypeError is how `cryptography` says that a passphrase is needed.
        reason = "encrypted with a passphrase" if isinstance(error, TypeError) else "cut off or damaged"
        raise KubeinfraError(f"{file}: is not a readable private key ({reason}); {advice}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise KubeinfraError(f"{file}: is a key of a kind that Kubernetes cannot use; bring ECDSA or RSA")
    return key
