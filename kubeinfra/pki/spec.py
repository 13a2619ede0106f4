"""What a certificate should say, and what is issued for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Literal

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeinfra.errors import KubeinfraError

CAName = Literal["etcd", "kubernetes", "front-proxy"]
Usage = Literal["server", "client", "both"]

EXTENDED_KEY_USAGE: dict[Usage, tuple[x509.ObjectIdentifier, ...]] = {
    "server": (ExtendedKeyUsageOID.SERVER_AUTH,),
    "client": (ExtendedKeyUsageOID.CLIENT_AUTH,),
    "both": (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
}


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
