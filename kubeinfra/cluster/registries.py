"""How images are pulled: the types of the settings for mirrors of registries, and for a proxy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, WithJsonSchema

from kubeinfra.cluster.types import Directory, MirrorUrl, NoProxy, ProxyUrl, Registry, RegistryMirror

DOCKER_HUB = "docker.io"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Mirror(_Entry):
    """
    A mirror of a registry.

    + url: without a path, or with what comes before the images' names there, as in `https://m.example.com/k8s`; one
      that begins with /v2 is taken as the root of the mirror's API
    + ca: path on the nodes of the certificate that its own is checked with
    """

    url: MirrorUrl
    ca: Directory | None = None

    @property
    def is_more(self) -> bool:
        """Whether it is more than a host."""
        return self.ca is not None or urlsplit(self.url).path.strip("/") != ""


class RuntimeProxy(_Entry):
    """The proxy of a container runtime, as in the environment variables of these names."""

    http_proxy: ProxyUrl | None = None
    https_proxy: ProxyUrl | None = None
    no_proxy: NoProxy | None = None


def _kind(value: object) -> str:
    return "[of each]" if isinstance(value, Mapping) else "[of one]"


_Mirror = Annotated[Annotated[Mirror, Tag("[of each]")] | Annotated[MirrorUrl, Tag("[of one]")], Discriminator(_kind)]
_Each = dict[Registry, list[_Mirror]]
RegistryMirrors = Annotated[
    Annotated[list[RegistryMirror], Tag("[of one]")] | Annotated[_Each, Tag("[of each]")],
    Discriminator(_kind),
    WithJsonSchema({"type": "string", "format": "list or dictionary"}),
]
"""A list of mirrors of Docker Hub, or a dictionary: registry -> its mirrors."""


def by_registry(mirrors: Sequence[str] | Mapping[str, Sequence[Any]] | None) -> dict[str, list[Mirror]]:
    """The value of setting registry_mirrors as registry -> its mirrors, in the order in which they are asked."""
    each = mirrors if isinstance(mirrors, Mapping) else {DOCKER_HUB: mirrors} if mirrors is not None else {}
    return {
        registry: [one if isinstance(one, Mirror) else Mirror(url=one) for one in those]
        for registry, those in each.items()
    }


def proxy_hosts(proxy: RuntimeProxy | None) -> list[str]:
    """Host and port of each proxy, without user and password."""
    urls = [proxy.http_proxy, proxy.https_proxy] if proxy else []
    return [urlsplit(url).netloc.rpartition("@")[2] for url in urls if url]
