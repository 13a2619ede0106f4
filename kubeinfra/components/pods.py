"""Why pods do not become ready, as they, their events and their containers' logs say it."""

from __future__ import annotations

from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.machine.render import template


def pods_say(namespace: str, selector: str) -> str:
    """
    Shell for a master that says on stderr why pods are not ready: their state, the Warning events of the namespace, and
    the last words of containers that are not ready. It takes a minute and a half at most, if kubelets do not answer.

    + selector: labels of the pods, such as "app=flannel"
    """
    return template("pods.sh.j2", kubectl=KUBECTL, namespace=namespace, selector=selector)
