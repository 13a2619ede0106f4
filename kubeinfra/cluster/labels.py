"""
Labels and taints of nodes, by Kubernetes' own rules.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
CONTROL_PLANE_TAINTS = ("node-role.kubernetes.io/master", "node-role.kubernetes.io/control-plane")
"""Keys of the taints that masters have in one minor or another; the setting masters_schedulable decides about them."""
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_KEY = (
    "use letters, digits, '-', '_' and '.', at most 63, with a letter or digit at both ends, if need be after a domain "
    "and '/', such as 'example.com/disk'"
)

# Each start of a kubelet writes these again.
_OF_KUBELETS = {f"{prefix}kubernetes.io/{name}" for prefix in ("", "beta.") for name in ("hostname", "os", "arch")} - {
    "beta.kubernetes.io/hostname"
}
# What NodeRestriction lets a kubelet set on its own node ...
_FREE_KEYS = {
    "beta.kubernetes.io/instance-type",
    *(
        f"{domain}/{name}"
        for domain in ("failure-domain.beta.kubernetes.io", "topology.kubernetes.io")
        for name in ("region", "zone")
    ),
}
# ... and two that only an administrator may set, which we are: a role that `kubectl get nodes` shows, and labels
# that a stolen kubelet cannot give itself.
_FREE_DOMAINS = (
    "kubelet.kubernetes.io",
    "node.kubernetes.io",
    "node-role.kubernetes.io",
    "node-restriction.kubernetes.io",
)


@dataclass(frozen=True)
class NodeTaint:
    """A taint as the API has it; `str()` gives the text that kubectl and a setting take."""

    key: str
    value: str
    effect: str

    @classmethod
    def parse(cls, text: str) -> NodeTaint:
        """From "key=value:Effect" or "key:Effect", a value of the setting node_taints."""
        before, _, effect = text.rpartition(":")
        key, _, value = before.partition("=")
        return cls(key, value, effect)

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


def _qualified_name(value: str) -> str:
    domain, slash, name = value.rpartition("/")
    if not _NAME.fullmatch(name) or (slash and (len(domain) > 253 or not _DOMAIN.fullmatch(domain))):
        raise ValueError(_KEY)
    return value


def _is_kubernetes_own(domain: str) -> bool:
    return any(domain == own or domain.endswith(f".{own}") for own in ("kubernetes.io", "k8s.io"))


def _is_free(key: str) -> bool:
    domain = key.rpartition("/")[0]
    return key in _FREE_KEYS or any(domain == free or domain.endswith(f".{free}") for free in _FREE_DOMAINS)


def _label_key(value: str) -> str:
    _qualified_name(value)
    if value in _OF_KUBELETS:
        raise ValueError("each kubelet sets this label itself; take it out, or use a domain of your own")
    if _is_kubernetes_own(value.rpartition("/")[0]) and not _is_free(value):
        raise ValueError(
            "labels below kubernetes.io and k8s.io are reserved for Kubernetes itself (see NodeRestriction), but for "
            "topology.kubernetes.io/region and zone, and those of node-role., node-restriction., node. and "
            "kubelet.kubernetes.io; use a domain of your own, such as 'example.com/disk'"
        )
    return value


def _label_value(value: str) -> str:
    if value and not _NAME.fullmatch(value):
        raise ValueError(
            "use letters, digits, '-', '_' and '.', at most 63, with a letter or digit at both ends, or nothing"
        )
    return value


def _taint(text: str) -> str:
    taint = NodeTaint.parse(text)
    if taint.effect not in EFFECTS:
        raise ValueError(f"use key=value:Effect or key:Effect, with one of {', '.join(EFFECTS)} as the effect")
    try:
        _qualified_name(taint.key)
    except ValueError as error:
        raise ValueError(f"of its key {taint.key!r}: {error}") from None
    try:
        _label_value(taint.value)
    except ValueError as error:
        raise ValueError(f"of its value {taint.value!r}: {error}") from None
    _not_of_others(taint.key)
    return text


def _not_of_others(key: str) -> None:
    if key in CONTROL_PLANE_TAINTS:
        raise ValueError("the setting masters_schedulable decides about this taint; set that one")
    if key.startswith("node.kubernetes.io/"):
        raise ValueError("Kubernetes sets and removes the taints of node.kubernetes.io itself; take it out")


def _each_once(taints: list[str]) -> list[str]:
    seen: dict[tuple[str, str], str] = {}
    for text in taints:
        taint = NodeTaint.parse(text)
        if earlier := seen.get((taint.key, taint.effect)):
            raise ValueError(f"{earlier!r} and {text!r} have the same key and effect; keep one of them")
        seen[taint.key, taint.effect] = text
    return taints


LabelKey = Annotated[str, AfterValidator(_label_key)]
LabelValue = Annotated[str, AfterValidator(_label_value)]
Labels = dict[LabelKey, LabelValue]
Taints = Annotated[list[Annotated[str, AfterValidator(_taint)]], AfterValidator(_each_once)]
