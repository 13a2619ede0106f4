"""What the machines of a cluster share and the controller keeps, as one frozen value. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

from kubeinfra.pki.ca import CA
from kubeinfra.pki.keys import public_key_pem
from kubeinfra.pki.spec import CAName

SecretName = Literal["service-account-key", "bootstrap-token", "vrrp-password"]
CA_NAMES: tuple[CAName, ...] = get_args(CAName)
SECRET_NAMES: tuple[SecretName, ...] = get_args(SecretName)


@dataclass(frozen=True)
class ClusterSecrets:
    """
    The CAs and the shared secrets; None stands for what a plan of a new cluster has not made yet.

    + cas: each name of CA_NAMES -> its set of certificates and what signs
    + service_account_key: PEM, for signing service account tokens
    + bootstrap_token: with which a kubelet asks for its certificate
    + vrrp_password: of the load balancers, 8 characters
    """

    cas: Mapping[CAName, CA | None] = field(default_factory=lambda: dict.fromkeys(CA_NAMES), repr=False)
    service_account_key: str | None = field(default=None, repr=False)
    bootstrap_token: str | None = field(default=None, repr=False)
    vrrp_password: str | None = field(default=None, repr=False)

    def secret(self, name: SecretName) -> str | None:
        """The secret of this name."""
        secrets: dict[SecretName, str | None] = {
            "service-account-key": self.service_account_key,
            "bootstrap-token": self.bootstrap_token,
            "vrrp-password": self.vrrp_password,
        }
        return secrets[name]

    def bundle(self, name: CAName) -> str | None:
        """All certificates that are trusted as this CA, PEM: what every file has by which somebody verifies."""
        ca = self.cas[name]
        return ca.bundle_pem if ca else None

    def signing_pem(self, name: CAName) -> str | None:
        """The certificate that signs now, alone, PEM; the same as the bundle while the set has one."""
        ca = self.cas[name]
        return ca.signing_pem if ca else None

    def signing_key_pem(self, name: CAName) -> str | None:
        """The key that signs, PEM. Secret."""
        ca = self.cas[name]
        return ca.key_pem if ca else None

    def has_one_certificate(self, name: CAName) -> bool:
        """Whether the bundle is the signing certificate alone, so that one file serves both."""
        ca = self.cas[name]
        return ca is None or len(ca.trusted) == 1

    @cached_property
    def service_account_public_key(self) -> str | None:
        """The public half, PEM, by which API servers verify tokens."""
        return public_key_pem(self.service_account_key) if self.service_account_key else None
