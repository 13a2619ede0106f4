"""
Mirrors of registries: a hosts.toml for each, which containerd reads at each pull.

Source: containerd's docs/hosts.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import tomli_w

from kubeinfra.cluster.registries import Mirror, by_registry
from kubeinfra.cluster.settings import Settings
from kubeinfra.components.runtime.containerd_config import CERTS_D
from kubeinfra.machine.wanted import File, NoFile, Wanted

MARK = "# Written by kubeinfra: setting registry_mirrors.\n"


def files(settings: Settings, present: Iterable[str] = ()) -> list[Wanted]:
    """
    Without a mirror that answers, containerd asks the registry itself.

    + present: files of ours; those of registries that the setting no longer has go, unless it is not set at all
    """
    wanted = {f"{CERTS_D}/{name}/hosts.toml": one for name, one in by_registry(settings.registry_mirrors).items()}
    gone = sorted(set(present) - wanted.keys()) if settings.registry_mirrors is not None else []
    return [*(File(path, hosts_toml(one)) for path, one in wanted.items()), *(NoFile(path, MARK) for path in gone)]


def hosts_toml(mirrors: list[Mirror]) -> str:
    """The text for one registry; its mirrors are asked in this order."""
    return MARK + tomli_w.dumps({"host": dict(_host(mirror) for mirror in mirrors)})


def _host(mirror: Mirror) -> tuple[str, dict[str, Any]]:
    said: dict[str, Any] = {"capabilities": ["pull", "resolve"]}
    if mirror.ca:
        said["ca"] = mirror.ca
    parts = urlsplit(mirror.url)
    path = parts.path.rstrip("/")
    if path in ("", "/v2"):
        return f"{parts.scheme}://{parts.netloc}", said
    # An image m.example.com/k8s/pause is at /v2/k8s/pause of the mirror's API: that root is named as a whole.
    root = path if path.startswith("/v2/") else f"/v2{path}"
    return f"{parts.scheme}://{parts.netloc}{root}", {**said, "override_path": True}
