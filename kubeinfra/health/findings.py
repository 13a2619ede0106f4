"""Findings of the health check: each unhealthy answer, and answers that contradict each other."""

from __future__ import annotations

from collections.abc import Iterable

from kubeinfra.findings import Finding
from kubeinfra.health.questions import HOLDS, VIRTUAL_ADDRESS, Row


def unhealthy(machine: str, rows: Iterable[Row]) -> list[Finding]:
    """
    An error for each unhealthy row.

    + machine: the machine that gave these answers
    """
    return [
        Finding(row.component, machine, "error", f"{row.component} {row.subject} is not healthy: {row.detail}")
        for row in rows
        if not row.healthy
    ]


def noted(machine: str, rows: Iterable[Row]) -> list[Finding]:
    """A note for each row that is one."""
    return [
        Finding(row.component, machine, "note", f"{row.component} {row.subject}: {row.detail}")
        for row in rows
        if row.note
    ]


def contradictions(rows: Iterable[Row], load_balancers: int) -> list[Finding]:
    """
    Errors of the whole cluster: what is wrong although each row by itself is healthy.

    + load_balancers: how many the cluster has; if not all were asked, one of the others may hold the address
    """
    answers = [row for row in rows if row.component == VIRTUAL_ADDRESS]
    holders = [row.subject for row in answers if row.detail == HOLDS]
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
    if answers and not holders and len(answers) == load_balancers and all(row.healthy for row in answers):
        found = "no load balancer holds the virtual address"
        return [Finding(VIRTUAL_ADDRESS, "", "error", found, remedy="journalctl -u keepalived says why")]
    return []
