"""CAs and certificates that the tests of certificates share."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import strategies as st

from kubeinfra.pki.ca import CA
from kubeinfra.pki.judge import reasons_to_reissue
from kubeinfra.pki.keys import public_key_pem
from kubeinfra.pki.spec import CertificateSpec, Issued

NOW = datetime.now(UTC).replace(microsecond=0)
CLUSTER_CA = CA.create("kubernetes-ca", years=10, now=NOW)
OTHER_CA = CA.create("kubernetes-ca", years=10, now=NOW)  # same name, another key

APISERVER = CertificateSpec(
    "kube-apiserver",
    "server",
    dns_names=("kubernetes", "kubernetes.default", "kubernetes.default.svc.cluster.local", "localhost"),
    addresses=(IPv4Address("192.168.80.10"), IPv4Address("10.0.0.1"), IPv4Address("127.0.0.1")),
)
ADMIN = CertificateSpec("kubernetes-admin", "client", organization="system:masters")
ETCD = CertificateSpec("etcd01", "both", dns_names=("etcd01",), addresses=(IPv4Address("192.168.80.10"),))
ROWS = (APISERVER, ADMIN, ETCD)

PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64)
DNS_NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z0-9]{1,10}){0,3}", fullmatch=True)
LEAVES = st.builds(
    CertificateSpec,
    common_name=PRINTABLE,
    usage=st.sampled_from(("server", "client", "both")),
    organization=st.none() | PRINTABLE,
    dns_names=st.lists(DNS_NAMES, max_size=5).map(tuple),
    addresses=st.lists(st.ip_addresses(v=4), max_size=5).map(tuple),
)


def reasons(spec: CertificateSpec, issued: Issued, ca: CA = CLUSTER_CA, now: datetime = NOW, **other: int) -> list[str]:
    """With the key file that belongs to the certificate, as the machine has it."""
    public = public_key_pem(issued.key_pem)
    return reasons_to_reissue(spec, ca, issued.certificate_pem, public, now, **other)


def private_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, passphrase: bytes = b"") -> str:
    hidden = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, hidden).decode()


ADMIN_CERTIFICATE = CLUSTER_CA.issue(ADMIN, 365, NOW)
