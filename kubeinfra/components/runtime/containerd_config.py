"""
containerd's configuration, in the version that its release reads.

Sources: containerd's docs/cri/config.md and docs/containerd-2.0.md, and its CHANGELOGs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

import tomli_w

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.components.documents import merged
from kubeinfra.paths import CNI_BIN, CNI_CONF

CONFIG = "/etc/containerd/config.toml"
CERTS_D = "/etc/containerd/certs.d"
"""A directory a registry, read at each pull."""

CRI = "io.containerd.grpc.v1.cri"
_IMAGES, _RUNTIME = "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"
_RUNC = {"runtimes": {"runc": {"runtime_type": "io.containerd.runc.v2", "options": {"SystemdCgroup": True}}}}
_REGISTRY = {"config_path": CERTS_D}
_HEAD = "# Written by kubeinfra; what you want of it beyond this: setting containerd_extra_config.\n"
# Before, ping and low ports need a privilege in containers; containerd 2 does not start its CRI plugin there.
_UNPRIVILEGED_PORTS = (4, 11)


def config_toml(cluster: Cluster, release: tuple[int, ...], kernel: tuple[int, int] | None) -> str:
    """
    The text of config.toml.

    + release: containerd's, such as (2, 4, 2); + kernel: the machine's, None if it is not known
    """
    return _HEAD + tomli_w.dumps(_wanted(cluster, release, kernel))


def _wanted(cluster: Cluster, release: tuple[int, ...], kernel: tuple[int, int] | None) -> dict[str, Any]:
    version, plugins = (3, _plugins_3(cluster, release, kernel)) if release >= (2,) else (2, _plugins_2(cluster))
    # Without its CRI plugin containerd would run and serve no kubelet: then it does not start, which is seen.
    own = {"version": version, "required_plugins": [CRI], "plugins": plugins}
    return merged(own, cluster.settings.containerd_extra_config)


def _plugins_2(cluster: Cluster) -> dict[str, Any]:
    return {
        CRI: {
            "sandbox_image": cluster.pause_image,
            "cni": {"bin_dir": CNI_BIN, "conf_dir": CNI_CONF},
            "containerd": _RUNC,
            "registry": _REGISTRY,
        }
    }


def _plugins_3(cluster: Cluster, release: tuple[int, ...], kernel: tuple[int, int] | None) -> dict[str, Any]:
    programs = {"bin_dirs": [CNI_BIN]} if release >= (2, 1) else {"bin_dir": CNI_BIN}
    is_old = kernel is not None and kernel < _UNPRIVILEGED_PORTS
    unprivileged = {"enable_unprivileged_icmp": False, "enable_unprivileged_ports": False} if is_old else {}
    return {
        _IMAGES: {"pinned_images": {"sandbox": cluster.pause_image}, "registry": _REGISTRY},
        _RUNTIME: {**unprivileged, "cni": {**programs, "conf_dir": CNI_CONF}, "containerd": _RUNC},
    }


def shown(text: str, wanted: str) -> str:
    """
    A text of config.toml as a diff may show it: values of others, which may be passwords of registries, as "...".

    + wanted: the text that the deploy writes
    """
    try:
        present = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return "(not TOML)\n" if text.strip() else ""
    return tomli_w.dumps(_hidden(present, tomllib.loads(wanted)))


def _hidden(present: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in present.items():
        own = ours.get(key)
        if isinstance(value, Mapping):
            found[key] = _hidden(value, own if isinstance(own, Mapping) else {})
        else:
            found[key] = value if key in ours else "..."
    return found
