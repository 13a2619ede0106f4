"""Lets new nodes in: a bootstrap token for those of this run that have no certificate yet."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime

from pyinfra import host, state
from pyinfra.api import QuoteString, StringCommand, operation

from kubeinfra.components.bootstrap import LIFETIME, secret_manifest
from kubeinfra.run.plan import announce
from kubeinfra.run.seen import bootstrap_token, joining


@operation()
def admit(kubectl: str) -> Generator[StringCommand, None, None]:
    """
    Create the Secret with the bootstrap token of this run, if a node joins.

    That of an earlier run is of no use to this one, and ends by itself.

    + kubectl: command with its kubeconfig
    """
    names = ", ".join(node.name for node in joining())
    if not names:
        host.noop("every node has its certificate")
        return
    announce(f"create a bootstrap token for {names}, which ends after {LIFETIME.seconds // 60} minutes (secret)")
    token = bootstrap_token() if state.is_executing else ""
    manifest = secret_manifest(token, f"for {names}", datetime.now(UTC)) if token else ""
    yield StringCommand("sh", "-c", QuoteString(f"{kubectl} create -f - >/dev/null"), _stdin=manifest.splitlines())
