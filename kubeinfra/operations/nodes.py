"""Labels and taints of Node objects."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from kubeinfra.components.node_objects import NodeObject, changes
from kubeinfra.facts.nodes import NodeObjects
from kubeinfra.run.plan import announce


@operation()
def label_and_taint(kubectl: str, wanted: Mapping[str, NodeObject]) -> Generator[StringCommand, None, None]:
    """
    Let the Node objects have the labels and taints that the settings want.

    + kubectl: command with its kubeconfig; + wanted: node name -> Node; one that has not registered yet is left out
    """
    found: dict[str, NodeObject] = host.get_fact(NodeObjects, kubectl=kubectl)
    todo = changes(wanted, found)
    if not todo:
        host.noop("the nodes' labels and taints are as wanted")
        return
    for change in todo:
        announce(change.sentence)
    commands = " && ".join(f"{kubectl} {change.command} >/dev/null" for change in todo)
    yield StringCommand("sh", "-c", QuoteString(commands))
