"""From pyinfra's inventory to the cluster: the only place that looks at other hosts' data."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyinfra import logger, state
from pyinfra.api import Inventory, State
from pyinfra.api.exceptions import PyinfraError
from pyinfra.context import ctx_state

from kubeinfra.build import InventoryEntry, build
from kubeinfra.cluster import GROUPS, Cluster
from kubeinfra.errors import KubeinfraError
from kubeinfra.settings import shown

# pyinfra's own keys: how to connect (ssh_port, docker_identifier, ...), and arguments such as _sudo.
_PYINFRA_KEYS = (
    "ssh_",
    "docker_identifier",
    "docker_platform",
    "docker_architecture",
    "winrm_",
    "vagrant_",
    "fake_",
    "_",
)
# Options of the operations in day2/: said for one run, with --data.
RUN_OPTIONS = ("snapshot", "confirm")
_known: dict[int, Cluster] = {}


def cluster() -> Cluster:
    """The cluster of this run; read once, its warnings shown once. Mistakes end the run as one message."""
    inventory = state.inventory
    if id(inventory) not in _known:
        with shown_as_message():
            found, warnings = from_inventory(inventory)
        for warning in warnings:
            logger.warning(warning)
        _known[id(inventory)] = found
    return _known[id(inventory)]


def run_option(name: str) -> str | None:
    """What `--data <name>=...` says for this run; one of RUN_OPTIONS."""
    value = state.inventory.get_override_data().get(name)
    return None if value is None else str(value)


def load(path: Path, group_data: Sequence[Path] = ()) -> tuple[Cluster, list[str]]:
    """
    An inventory file, read as `pyinfra <path> --group-data ...` does, without connecting -> cluster and warnings.

    Raises KubeinfraError with all mistakes.
    """
    if not path.is_file():
        raise KubeinfraError(f"{path}: no such inventory; name a file such as inventory.py")
    from pyinfra_cli.inventory import make_inventory  # which replaces the threads of whoever imports it

    root = str(Path.cwd())
    if root not in sys.path:
        sys.path.append(root)
    directories = [str(directory) for directory in group_data]
    with ctx_state.use(State()):  # pyinfra notes in it which file it executes
        return from_inventory(make_inventory(str(path), cwd=root, group_data_directories=directories))


def from_inventory(inventory: Inventory) -> tuple[Cluster, list[str]]:
    values, source, mistakes = _settings(inventory)
    entries = [_entry(inventory, name) for name in inventory.hosts]
    try:
        found = build(entries, values, source)
    except KubeinfraError as error:
        mistakes += error.mistakes
    if mistakes:
        raise KubeinfraError(*mistakes)
    return found


def _settings(inventory: Inventory) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Settings of the whole cluster from group_data/all.py, then the role groups' files, then --data."""
    values: dict[str, Any] = {}
    source: dict[str, str] = {}
    mistakes = []
    layers = [("group_data/all.py", inventory.get_data())]
    layers += [(f"group_data/{group}.py", inventory.get_group_data(group)) for group in GROUPS]
    options = inventory.get_override_data()
    layers += [("--data", {key: value for key, value in options.items() if key not in RUN_OPTIONS})]
    for where, layer in layers:
        for key, value in _own(layer).items():
            earlier = source.get(key, "group_data/all.py")
            if where != "--data" and earlier != "group_data/all.py" and values[key] != value:
                here, there = shown(key, value), shown(key, values[key])
                mistakes.append(f"{where}: {key} is {here}, but {earlier} says {there}; keep one of them")
            values[key], source[key] = value, where
    mistakes += [
        f"group_data/{group}.py: {', '.join(_own(data))} would not be read; "
        f"settings stand in all.py, {', '.join(f'{known}.py' for known in GROUPS)}"
        for group, data in inventory.group_data.items()
        if group not in ("all", *GROUPS) and _own(data)
    ]
    return values, source, mistakes


def _entry(inventory: Inventory, name: str) -> InventoryEntry:
    data = inventory.get_host_data(name)
    groups = frozenset(group for group in GROUPS if group in inventory.get_host(name).groups)
    return InventoryEntry(name, groups, _own(data), data.get("ssh_hostname"))


def _own(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if not key.startswith(_PYINFRA_KEYS)}


@contextmanager
def shown_as_message() -> Iterator[None]:
    """pyinfra shows a PyinfraError without a traceback: that is how a person's mistake should look."""
    try:
        yield
    except KubeinfraError as error:
        raise PyinfraError("\n" + "\n".join(error.mistakes)) from None
