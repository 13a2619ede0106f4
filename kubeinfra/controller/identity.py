"""
Which cluster a controller's directory is of: `cluster.json`. Pure.

    {"schema": 2, "machines": [{"name": "master01", "address": "192.168.80.10"}, ...], "etcd_cluster_id": null}

A directory of schema 1 has no such file, and its CAs in `authorities/` instead of `ca/`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kubeinfra.cluster.cluster import Machine
from kubeinfra.controller import documents

SCHEMA: Literal[2] = 2
FILE = "cluster.json"
DAMAGED = (
    "is damaged ({reason}); restore it from a backup, or remove it: the next run writes it for the machines of its "
    "inventory"
)


class KnownMachine(BaseModel):
    """A machine of the inventory that the last run had."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    address: IPv4Address

    def __str__(self) -> str:
        return f"{self.name} ({self.address})"


class Identity(BaseModel):
    """
    What a cluster is told from another by.

    + machines: all of the inventory, in order of their names; none: not known
    + etcd_cluster_id: in hex, as etcdctl prints it; None until it was seen, and after a restore, which makes a new one
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_number: Literal[2] = Field(default=SCHEMA, alias="schema")
    machines: tuple[KnownMachine, ...] = ()
    etcd_cluster_id: str | None = None

    def text(self) -> str:
        """What its file has."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1) + "\n"


def known(machines: Iterable[Machine]) -> tuple[KnownMachine, ...]:
    """What is kept of these machines."""
    found = (KnownMachine(name=machine.name, address=machine.address) for machine in machines)
    return tuple(sorted(found, key=lambda machine: machine.name))


def parse(text: str, path: Path) -> Identity:
    """What a `cluster.json` says; KubeinfraError naming `path` if it is damaged, or of a newer schema."""
    return documents.parse(text, path, Identity, SCHEMA, DAMAGED)
