"""Labels and taints of the API's Node objects; set from a master, because a kubelet may not set most of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from shlex import join

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.cluster.labels import CONTROL_PLANE_TAINTS, NodeTaint
from kubeinfra.components.flags import is_tainted, master_taints

# Record which labels and taints of a Node come from settings: they are removed when the setting no longer has them.
LABELS_ANNOTATION = "kubeinfra/labels"
TAINTS_ANNOTATION = "kubeinfra/taints"
# Whether a master has these follows from masters_schedulable and the release, whoever has set them.
OF_MASTERS = frozenset(f"{key}:NoSchedule" for key in CONTROL_PLANE_TAINTS)


@dataclass(frozen=True)
class NodeObject:
    """
    A Node object as the settings want it, or as the API has it.

    + own_labels: keys, and own_taints: "key:Effect", that come from settings; no others are ever removed
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    taints: frozenset[NodeTaint] = frozenset()
    own_labels: frozenset[str] = frozenset()
    own_taints: frozenset[str] = frozenset()


@dataclass(frozen=True)
class NodeChange:
    """+ sentence: for the plan; + command: kubectl's arguments, as shell text"""

    sentence: str
    command: str


def wanted(cluster: Cluster) -> dict[str, NodeObject]:
    """Node name -> its labels and taints in the settings."""
    return {node.node_name: _wanted(cluster, node) for node in cluster.nodes}


def _wanted(cluster: Cluster, node: Machine) -> NodeObject:
    settings = cluster.settings_of(node)
    taints = frozenset(NodeTaint.parse(text) for text in settings.node_taints)
    masters = frozenset(map(NodeTaint.parse, master_taints(cluster) if is_tainted(cluster, node) else []))
    is_master = "master" in node.groups
    roles = dict.fromkeys(cluster.release.control_plane_labels, "") if is_master else {}
    # On other nodes a master's taint is the user's own.
    own = {_identity(taint) for taint in taints} | (OF_MASTERS if is_master else set())
    return NodeObject(roles | settings.node_labels, taints | masters, frozenset(settings.node_labels), frozenset(own))


def changes(wanted: Mapping[str, NodeObject], found: Mapping[str, NodeObject]) -> list[NodeChange]:
    """
    The changes that give the Node objects the wanted labels and taints; those set by others stay.

    + wanted, found: node name -> Node; a node that the API does not have is left out
    """
    return [change for name, node in wanted.items() if name in found for change in _changes(name, node, found[name])]


def _changes(name: str, wanted: NodeObject, found: NodeObject) -> list[NodeChange]:
    labels = [f"{key}={value}" for key, value in sorted(wanted.labels.items()) if found.labels.get(key) != value]
    old_labels = sorted((found.own_labels - wanted.labels.keys()) & found.labels.keys())
    taints = sorted(wanted.taints - found.taints, key=str)
    may_go = found.own_taints | wanted.own_taints
    old_taints = sorted({_identity(one) for one in found.taints} & may_go - {_identity(one) for one in wanted.taints})
    kubectl_taints = [f"{one.key}={one.value}:{one.effect}" for one in taints]
    return [
        *_change("label", name, labels, old_labels, labels),
        *_change("taint", name, [str(taint) for taint in taints], old_taints, kubectl_taints),
        *_annotation(name, wanted, found),
    ]


def _change(kind: str, name: str, put: list[str], removed: list[str], arguments: list[str]) -> list[NodeChange]:
    sentences = [f"put {kind} {one} on {name}" for one in put] + [f"remove {kind} {one} from {name}" for one in removed]
    command = join([kind, "node", name, "--overwrite", *arguments, *(f"{one}-" for one in removed)])
    return [NodeChange(", ".join(sentences), command)] if sentences else []


def _annotation(name: str, wanted: NodeObject, found: NodeObject) -> list[NodeChange]:
    notes = [
        (LABELS_ANNOTATION, wanted.own_labels, found.own_labels),
        (TAINTS_ANNOTATION, wanted.own_taints - OF_MASTERS, found.own_taints),
    ]
    given = [f"{key}={','.join(sorted(now))}" for key, now, before in notes if now != before]
    command = join(["annotate", "node", name, "--overwrite", *given])
    return [NodeChange(f"note on {name} which labels and taints are the settings'", command)] if given else []


def _identity(taint: NodeTaint) -> str:
    """A node has one taint of a key and an effect, whatever its value."""
    return f"{taint.key}:{taint.effect}"
