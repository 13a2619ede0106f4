"""Node objects of the API."""

from __future__ import annotations

import json
from typing import Any

from pyinfra.api import FactBase

from kubeinfra.cluster.labels import NodeTaint
from kubeinfra.components.node_objects import LABELS_ANNOTATION, TAINTS_ANNOTATION, NodeObject


class NodeObjects(FactBase[dict[str, NodeObject]]):
    """
    Labels and taints of the API's Node objects: node name -> NodeObject. Empty if no API server answers yet.

    + kubectl: command with its kubeconfig
    """

    default = dict

    def command(self, kubectl: str) -> str:
        return f"timeout 20 {kubectl} get nodes -o json 2>/dev/null || echo '{{\"items\": []}}'"

    def process(self, output: list[str]) -> dict[str, NodeObject]:
        return {item["metadata"]["name"]: _node(item) for item in json.loads("".join(output))["items"]}


def _node(item: dict[str, Any]) -> NodeObject:
    metadata = item["metadata"]
    taints = [NodeTaint(one["key"], one.get("value", ""), one["effect"]) for one in item["spec"].get("taints", [])]

    def own(annotation: str) -> frozenset[str]:
        return frozenset(filter(None, metadata.get("annotations", {}).get(annotation, "").split(",")))

    return NodeObject(metadata.get("labels", {}), frozenset(taints), own(LABELS_ANNOTATION), own(TAINTS_ANNOTATION))
