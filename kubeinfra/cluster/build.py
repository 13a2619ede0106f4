"""From the lines of an inventory and the settings as written to the cluster, checked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from kubeinfra.cluster import consistency as checks
from kubeinfra.cluster.cluster import Cluster, Machine, is_ipv4
from kubeinfra.cluster.settings import MachineSettings, Settings, read
from kubeinfra.errors import KubeinfraError


@dataclass(frozen=True)
class InventoryEntry:
    """One host as the inventory has it. `data` without pyinfra's own connection keys."""

    name: str
    groups: frozenset[str]
    data: Mapping[str, Any]
    ssh_hostname: str | None = None


def build(
    entries: Iterable[InventoryEntry], values: Mapping[str, Any], source: Mapping[str, str]
) -> tuple[Cluster, list[str]]:
    """
    Inventory and settings -> the cluster and the warnings about it.

    `values` are the settings as written, `source` the file of each. All mistakes are raised as one KubeinfraError.
    """
    settings, problems = read(Settings, dict(values), dict(source))
    machines: list[Machine] = []
    for entry in entries:
        machine, wrong = _machine(entry)
        machines += [machine] if machine else []
        problems += wrong
    # Where a setting cannot be read, the others are still checked, against its default.
    cluster = Cluster(tuple(machines), settings or _readable(values))
    problems += checks.problems(cluster, source)
    if problems:
        raise KubeinfraError(*problems)
    return cluster, checks.warnings(cluster)


def _readable(values: Mapping[str, Any]) -> Settings:
    good = {
        key: value
        for key, value in values.items()
        if read(Settings, {key: value}, {})[0] and key in Settings.model_fields
    }
    return Settings.model_validate(good)


def _machine(entry: InventoryEntry) -> tuple[Machine | None, list[str]]:
    where = dict.fromkeys(entry.data, f"inventory: {entry.name}")
    said, problems = read(MachineSettings, dict(entry.data), where)
    if said is None:
        return None, problems
    address = said.address or next(
        (IPv4Address(text) for text in (entry.ssh_hostname or "", entry.name) if is_ipv4(text)), None
    )
    if address is None:
        problems.append(
            f"inventory: {entry.name} has no address; say "
            f'("{entry.name}", {{"ssh_hostname": "192.168.80.10"}}), or "address" where ssh uses a name'
        )
        return None, problems
    return Machine(entry.name, said.hostname or entry.name, address, entry.groups), problems
