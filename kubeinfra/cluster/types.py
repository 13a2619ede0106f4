"""
Types of settings: the form that a value must have, and the message in plain words if it does not have it.

A type rejects a value with a ValueError whose text follows "<setting> is <value>: " in the message.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, WithJsonSchema

from kubeinfra.releases.catalogue import reason_against

_IPV6 = "this is IPv6; the cluster uses IPv4, such as "
_HOST = "use a host name or an IPv4 address, such as 'ntp.example.com' or '192.168.80.1'"
_ENDPOINT = "use address:port without https://, such as '192.168.80.88:6443' or 'k8s.example.com:443'"
_UPSTREAM = (
    "use an IPv4 address, if need be with ':' and a port, or the path of a resolv.conf from / on, "
    "such as '192.168.80.1' or '/etc/resolv.conf'"
)


def texts_of(value: object) -> Iterator[str]:
    """Every piece of text in a value, keys of dictionaries included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for pair in value.items():
            yield from texts_of(pair)
    elif isinstance(value, list | tuple | set):
        for one in value:
            yield from texts_of(one)


def is_control(character: str) -> bool:
    """Whether it breaks a line, steers a terminal, or is half a character that UTF-8 cannot write."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


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
    """Text that matches a regular expression as a whole; `wanted`: in plain words what is expected."""

    def fitting(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(wanted)
        return value

    return AfterValidator(fitting)


def is_ipv4(text: str) -> bool:
    return _is_address(IPv4Address, text)


def is_ipv6(text: str) -> bool:
    """Whether this is an IPv6 address, in the brackets of a URL or without them."""
    return _is_address(IPv6Address, text.strip("[]"))


def _is_address(family: type[IPv4Address] | type[IPv6Address], text: str) -> bool:
    try:
        family(text)
    except ValueError:
        return False
    return True


def _ipv4(value: object) -> object:
    """Before pydantic reads it, which would take a number too."""
    if not isinstance(value, str | IPv4Address):
        raise ValueError("use text, such as '192.168.80.10'")
    if is_ipv6(str(value)):
        raise ValueError(f"{_IPV6}'192.168.80.10'")
    return value


def _network(value: object) -> object:
    if not isinstance(value, str | IPv4Network):
        raise ValueError("use text, such as '10.244.0.0/16'")
    address, slash, _ = str(value).partition("/")
    if is_ipv6(address):
        raise ValueError(f"{_IPV6}'10.244.0.0/16'")
    if is_ipv4(address) and not slash:
        raise ValueError(f"its prefix length is missing, such as '{address}/24'")
    try:
        network = IPv4Network(value, strict=False)
    except ValueError:
        return value  # pydantic says so
    if network.network_address != IPv4Address(address):
        raise ValueError(f"it has host bits set; the network is '{network}'")
    return value


def _host(text: str) -> str:
    if is_ipv6(text):
        raise ValueError(f"{_IPV6}'192.168.80.1'")
    if not is_ipv4(text) and not _is_name(text):
        raise ValueError(_HOST)
    return text


def _is_name(text: str) -> bool:
    """Whether DNS may have this name. One that ends in a number is an address that was mistyped (RFC 3696, 2)."""
    try:
        _dns_name(text.lower())
    except ValueError:
        return False
    return len(text) <= 253 and not text.rpartition(".")[2].isdigit()


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536


def _is_host_and_port(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return (is_ipv4(host) or _is_name(host)) and _is_port(port)


def _endpoint(text: str) -> str:
    if is_ipv6(text) or is_ipv6(text.rpartition(":")[0]):
        raise ValueError(f"{_IPV6}'192.168.80.88:6443'")
    if not _is_host_and_port(text):
        raise ValueError(_ENDPOINT)
    return text


def _dns_upstream(text: str) -> str:
    if is_ipv6(text) or is_ipv6(text.rpartition(":")[0]):
        raise ValueError(f"{_IPV6}'192.168.80.1'")
    address, colon, port = text.partition(":")
    is_server = is_ipv4(address) and (not colon or _is_port(port))
    if not is_server and not re.fullmatch(r"(/[\w.-]+)+", text, re.ASCII):
        raise ValueError(_UPSTREAM)
    return text


def _url(path: str, example: str) -> Callable[[str], str]:
    """http or https, a host, perhaps a port, and the path that the regular expression `path` allows."""
    wanted = f"use https:// or http:// and a host, {example}"

    def checked(text: str) -> str:
        found = re.fullmatch(rf"https?://([^/?#]+){path}", text.replace("{host}", "host"), re.ASCII)
        if not found:
            raise ValueError(wanted)
        if "@" in found[1]:
            raise ValueError("take the user and the password out of it: they would be shown in files and logs")
        if is_ipv6(found[1]) or is_ipv6(found[1].rpartition(":")[0]):
            raise ValueError(f"{_IPV6}'https://192.168.80.1'")
        if not (is_ipv4(found[1]) or _is_name(found[1]) or _is_host_and_port(found[1])):
            raise ValueError(wanted)
        return text

    return checked


# The newest Docker takes one with a path; 20.10 to 26.1 do not start with it (ValidateMirror in moby's registry).
_registry_mirror = _url("/?", "without a path, such as 'https://mirror.example.com'")


def _docker_config(value: dict[str, Any]) -> dict[str, Any]:
    if "hosts" in value:
        raise ValueError(
            "take 'hosts' out: Docker's unit has it on its command line, and Docker does not start with both; use a "
            "drop-in of docker.service"
        )
    mirrors = value.get("registry-mirrors", [])
    if not isinstance(mirrors, list):
        raise ValueError("its 'registry-mirrors' is no list; use the setting registry_mirrors")
    for mirror in mirrors:
        try:
            _registry_mirror(str(mirror))
        except ValueError as error:
            raise ValueError(f"its mirror {mirror!r} is one that Docker does not start with: {error}") from None
    return value


def _own_build(text: str) -> str:
    parts = text.split("/")
    fitting = all(re.fullmatch(r"[\w.+~@-]+", part, re.ASCII) and part.strip(".") for part in parts)
    if not fitting or len(parts) != (2 if parts[0] == "images" else 3):
        raise ValueError("use its path below artifacts_dir, <name>/<version>/<file> or images/<file>")
    return text


def _release(value: object) -> object:
    """Before pydantic reads it, which would not say what to write for a number."""
    if reason := reason_against(value):
        raise ValueError(reason)
    return value


def _number_or_percentage(value: object) -> int | str:
    """As Kubernetes' own `maxUnavailable` (IntOrString): 2, or "10%"."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,3}%", value, re.ASCII) and 1 <= int(value[:-1]) <= 100:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError("use a number from 1 on, such as 2, or a percentage from '1%' to '100%'")


_PATH = r"(/[\w.~%+,=:@-]*)*"
# https://github.com/distribution/reference/blob/main/regexp.go, with a tag or a digest, as "latest" means nothing here.
_IMAGE = (
    r"([a-zA-Z0-9][a-zA-Z0-9.-]*(:\d+)?/)?"
    r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*)*"
    r"(:\w[\w.-]{0,127}(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})"
)

DnsLabel = Annotated[str, AfterValidator(_dns_label)]
DnsName = Annotated[str, AfterValidator(_dns_name)]
HostName = Annotated[str, AfterValidator(_host_name)]
Address = Annotated[IPv4Address, BeforeValidator(_ipv4), WithJsonSchema({"type": "string", "format": "address"})]
Network = Annotated[IPv4Network, BeforeValidator(_network), WithJsonSchema({"type": "string", "format": "network"})]
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
NumberOrPercentage = Annotated[
    Any, AfterValidator(_number_or_percentage), WithJsonSchema({"type": "string", "format": "number or percentage"})
]
Years = Annotated[int, Field(ge=1, le=50)]
Host = Annotated[str, AfterValidator(_host)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
DnsUpstream = Annotated[str, AfterValidator(_dns_upstream)]
Registry = Annotated[
    str,
    _like(r"([a-z0-9-]+(\.[a-z0-9-]+)+|localhost)(:\d+)?|[a-z0-9-]+:\d+", "use its name in images, such as 'quay.io'"),
]
MirrorUrl = Annotated[str, AfterValidator(_url(_PATH, "such as 'https://mirror.example.com/k8s'"))]
ProxyUrl = Annotated[
    str,
    _like(
        r"https?://([^@/\s\"'\\]+@)?[\w.-]+(:\d+)?/?",
        "use http:// or https://, perhaps user:password@, a host and a port, such as 'http://proxy.example.com:3128'",
    ),
]
NoProxy = Annotated[
    str,
    _like(
        r"[\w.*:/,\[\]-]+",
        "use names, domains, addresses and networks with commas between them, such as '.example.com,10.0.0.0/8'",
    ),
]
RegistryMirror = Annotated[str, AfterValidator(_registry_mirror)]
BaseUrl = Annotated[str, AfterValidator(_url(_PATH, "such as 'https://mirror.example.com/docker-ce'"))]
ArtifactMirror = Annotated[
    str, AfterValidator(_url(_PATH, "and no braces but {host}, such as 'https://mirror.example.com/{host}'"))
]
LocalPath = Annotated[str, _like(r".*\S.*", "use a path, such as '/data/artifacts'")]
ImageReference = Annotated[
    str, _like(_IMAGE, "use an image's name with its tag, such as 'registry.example.com/pause:3.2'")
]
KubernetesVersion = Annotated[str, BeforeValidator(_release)]
EtcdVersion = Annotated[str, _like(r"\d+\.\d+\.\d+(-[\w.]+)?", "use a version of three numbers, without v")]
ContainerdVersion = Annotated[str, _like(r"\d+\.\d+(\.[\w.~+-]*)?", "use a version of two or three numbers, without v")]
DockerConfig = Annotated[dict[str, JsonValue], AfterValidator(_docker_config)]
DockerVersion = Annotated[
    str, _like(r"\d+(\.[\w.~+-]*)?", "use the beginning of a version, without v or 5: before it, such as '24.0'")
]
OwnBuild = Annotated[str, AfterValidator(_own_build)]
Digest = Annotated[
    str,
    _like(
        r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}",
        "use sha256: and 64 hex digits in lower case, as sha256sum prints them",
    ),
]
SysctlName = Annotated[
    str, _like(r"[a-z][\w-]*(\.[\w/-]+)+", "use a sysctl's name with dots, such as 'net.core.somaxconn'")
]
