"""What the answers about health tell as findings: each that is not well, and those that contradict each other."""

from __future__ import annotations

from collections.abc import Iterable

from kubeinfra.findings import Finding
from kubeinfra.health.questions import HOLDS, VIRTUAL_ADDRESS, Row


def unhealthy(machine: str, rows: Iterable[Row]) -> list[Finding]:
    """
    An error for each row that is not well.

    + machine: the one that gave these answers
    """
    return [
        Finding(row.component, machine, "error", f"{row.component} {row.subject} is not well: {row.detail}")
        for row in rows
        if not row.healthy
    ]


def contradictions(rows: Iterable[Row], load_balancers: int) -> list[Finding]:
    """
    What is wrong although every row for itself is well: errors of the whole cluster.

    + load_balancers: how many there are; if not all were asked, one of the others may hold the address
    """
    asked = [row for row in rows if row.component == VIRTUAL_ADDRESS]
    holders = [row.subject for row in asked if row.detail == HOLDS]
    if len(holders) > 1:
        return [
            Finding(
                VIRTUAL_ADDRESS,
                "",
                "error",
                f"{' and '.join(holders)} both hold the virtual address",
                "VRRP (IP protocol 112) does not pass between them",
                "look for a firewall, or another vrrp_password on one of them (journalctl -u keepalived)",
                joints=(": ", "; "),
            )
        ]
    if asked and not holders and len(asked) == load_balancers and all(row.healthy for row in asked):
        none = "no load balancer holds the virtual address"
        return [Finding(VIRTUAL_ADDRESS, "", "error", none, remedy="journalctl -u keepalived says why")]
    return []
