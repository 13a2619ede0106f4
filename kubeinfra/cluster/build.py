"""Builds the checked cluster from the lines of the inventory and the settings as written. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import Any

from kubeinfra.cluster import consistency as checks
from kubeinfra.cluster.cluster import GROUPS, Cluster, Machine
from kubeinfra.cluster.layers import Layer, disagreements, merged
from kubeinfra.cluster.settings import PER_MACHINE, MachineSettings, Settings, read
from kubeinfra.cluster.types import is_control, is_ipv4, is_ipv6
from kubeinfra.errors import KubeinfraError


@dataclass(frozen=True)
class InventoryEntry:
    """One host of the inventory, with all its groups. `data`: its own data, without pyinfra's connection keys."""

    name: str
    groups: frozenset[str]
    data: Mapping[str, Any]
    ssh_hostname: str | None = None


def build(
    entries: Iterable[InventoryEntry],
    values: Mapping[str, Any],
    source: Mapping[str, str],
    by_group: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    further: Sequence[checks.Check] = (),
) -> tuple[Cluster, list[str]]:
    """
    Inventory and settings -> the cluster and the warnings about it.

    + values: the settings of the cluster as written; + source: setting -> the file that it was written in
    + by_group: group -> the settings in its file for its machines (PER_MACHINE)
    + further: checks that depend on components

    Raises one KubeinfraError with all errors.
    """
    entries = list(entries)
    settings, problems = read(Settings, dict(values), dict(source))
    machines: list[Machine] = []
    for entry in entries:
        machine, wrong = _machine(entry)
        machines += [machine] if machine else []
        problems += wrong
    # If a setting cannot be read, the others are still checked, against its default.
    known = settings or _readable(values)
    own, wrong = _own_settings(entries, known, by_group)
    cluster = Cluster(tuple(machines), known, own)
    problems += wrong + checks.problems(cluster, source, further)
    if problems:
        raise KubeinfraError(*problems)
    return cluster, checks.warnings(cluster)


def _own_settings(
    entries: Sequence[InventoryEntry], settings: Settings, by_group: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Settings], list[str]]:
    """Machine name -> its settings, for machines that have settings of their own; and one sentence for each error."""
    problems: list[str] = []
    files: dict[str, Layer] = {}
    for group, values in by_group.items():
        files[group], wrong = Layer.read(values, f"group_data/{group}.py")
        problems += wrong + _for_no_node(files[group], [entry for entry in entries if group in entry.groups])
    groups, machines = {}, {}
    for entry in entries:
        groups[entry.name] = [layer for group, layer in files.items() if group in entry.groups and layer.values]
        own = {name: entry.data[name] for name in PER_MACHINE if name in entry.data}
        machines[entry.name], wrong = Layer.read(own, f"inventory: {entry.name}")
        problems += wrong + _for_no_node(machines[entry.name], [entry])
    problems += disagreements(groups, machines)
    return {
        name: merged(settings, [*layers, machines[name]])
        for name, layers in groups.items()
        if layers or machines[name].values
    }, problems


def _for_no_node(layer: Layer, members: Sequence[InventoryEntry]) -> list[str]:
    """An error if none of the members is a node: every setting that may differ by machine is about nodes."""
    if not layer.values or any("node" in entry.groups for entry in members):
        return []
    names = ", ".join(layer.values)
    return [f"{layer.where}: {names} would not be read: it is for nodes, and no machine here is in group node"]


def _readable(values: Mapping[str, Any]) -> Settings:
    good = {
        key: value
        for key, value in values.items()
        if read(Settings, {key: value}, {})[0] and key in Settings.model_fields
    }
    return Settings.model_validate(good)


def _machine(entry: InventoryEntry) -> tuple[Machine | None, list[str]]:
    place = f"inventory: {entry.name}"
    misplaced = [name for name in entry.data if name in Settings.model_fields and name not in PER_MACHINE]
    of_cluster = [f"{place}: {name} holds for the whole cluster; set it in group_data/all.py" for name in misplaced]
    own = {name: value for name, value in entry.data.items() if name not in Settings.model_fields}
    settings, problems = read(MachineSettings, own, dict.fromkeys(own, place))
    problems = of_cluster + problems
    if any(map(is_control, entry.name)):
        problems.append(f"inventory: {entry.name!r} has a control character in its name; take that out")
        return None, problems
    if settings is None:
        return None, problems
    address = settings.address or next(
        (IPv4Address(text) for text in (entry.ssh_hostname or "", entry.name) if is_ipv4(text)), None
    )
    if address is None and (ipv6 := next(filter(is_ipv6, (entry.ssh_hostname or "", entry.name)), None)):
        problems.append(
            f"{place}: {ipv6} is IPv6, and the cluster uses IPv4; add the machine's own, such as "
            '"address": "192.168.80.10"'
        )
        return None, problems
    if address is None:
        problems.append(
            f"inventory: {entry.name} has no address; say "
            f'("{entry.name}", {{"ssh_hostname": "192.168.80.10"}}), or "address" if ssh uses a name'
        )
        return None, problems
    return Machine(entry.name, settings.hostname or entry.name, address, entry.groups & set(GROUPS)), problems
