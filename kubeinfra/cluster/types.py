"""
Types of settings: what form a value must have, and in plain words what is wanted where it has not.

A type refuses with a ValueError whose text follows "<setting> is <value>: " in the message.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema


def _dns_label(value: str) -> str:
    """Kubernetes' rule for names (RFC 1123): letters, digits and '-', at most 63, not '-' at either end."""
    allowed = value.replace("-", "").isalnum() and value.isascii() and value == value.lower()
    if not allowed or len(value) > 63 or value[0] == "-" or value[-1] == "-":
        raise ValueError("use lower-case letters, digits and '-', at most 63, with a letter or digit at both ends")
    return value


def _dns_name(value: str) -> str:
    for label in value.split("."):
        _dns_label(label or "-")
    return value


def _host_name(value: str) -> str:
    """The kernel keeps 64 characters of it, and a certificate's common name holds as many."""
    if len(value) > 63:
        raise ValueError(f"it has {len(value)} characters; use at most 63, dots included")
    return _dns_name(value)


def _like(pattern: str, wanted: str) -> AfterValidator:
    """Text that a regular expression fits as a whole; `wanted` says in plain words what that is."""

    def fitting(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(wanted)
        return value

    return AfterValidator(fitting)


DnsLabel = Annotated[str, AfterValidator(_dns_label)]
DnsName = Annotated[str, AfterValidator(_dns_name)]
HostName = Annotated[str, AfterValidator(_host_name)]
Address = Annotated[IPv4Address, WithJsonSchema({"type": "string", "format": "address"})]
Network = Annotated[IPv4Network, WithJsonSchema({"type": "string", "format": "network"})]
Port = Annotated[int, Field(ge=1, le=65535)]
Flag = Annotated[str, _like(r"[a-z][a-z0-9-]*", "name the flag without the dashes before it, such as 'feature-gates'")]
Ports = Annotated[
    str, _like(r"\d{1,5}-\d{1,5}", "use the first and the last port with '-' between them, such as '30000-32767'")
]
LogSize = Annotated[str, _like(r"\d+[kmg]", "use a number with k, m or g, such as '500m'")]
Retention = Annotated[str, _like(r"\d+[hm]?", "use a number with h (hours) or m (minutes), such as '1h'")]
Directory = Annotated[
    str, _like(r"(/[\w.-]+)+", "use a path from / on, of letters, digits, '_', '.' and '-', such as '/data/backup'")
]
VrrpPassword = Annotated[
    str, _like(r"[\w.+-]{1,8}", "use at most 8 letters, digits, '_', '.', '+' and '-', such as 'k8s-lb51'")
]
Years = Annotated[int, Field(ge=1, le=50)]
