"""From pyinfra's inventory to the cluster: the only place that looks at other hosts' data."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pyinfra import logger, state
from pyinfra.api import Inventory, State
from pyinfra.api.arguments import all_global_arguments
from pyinfra.api.exceptions import PyinfraError
from pyinfra.connectors.ssh import connector_data_meta
from pyinfra.context import ctx_state

from kubeinfra.checks.settings import OF_SETTINGS
from kubeinfra.cluster import groups
from kubeinfra.cluster.build import InventoryEntry, build
from kubeinfra.cluster.cluster import GROUPS, Cluster
from kubeinfra.cluster.settings import PER_MACHINE, shown
from kubeinfra.errors import KubeinfraError
from kubeinfra.findings import Finding
from kubeinfra.run.user_files import MALFORMED, group_data_files, malformed, problem, syntax_problems

# pyinfra's own keys: how to connect by ssh, and arguments such as _sudo; then those of its other connectors.
_SSH_KEYS, _ARGUMENTS = set(connector_data_meta), {name for name, _ in all_global_arguments()}
_OTHER_CONNECTORS = ("docker_identifier", "docker_platform", "docker_architecture", "winrm_", "vagrant_", "fake_")
# What `python -m lab` reads.
_LAB = "lab_"
# Options of the operations in day2/ and of preflight: said for one run, with --data.
RUN_OPTIONS = ("snapshot", "confirm", "preflight_json")
_known: dict[int, Cluster] = {}


def cluster() -> Cluster:
    """The cluster of this run; read once, its warnings shown once. Errors end the run as one message."""
    inventory = state.inventory
    if id(inventory) not in _known:
        with as_pyinfra_error():
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

    Raises KubeinfraError with all errors.
    """
    return from_inventory(opened(path, group_data))


def opened(path: Path, group_data: Sequence[Path] = ()) -> Inventory:
    """The same as pyinfra has it, before its meaning is checked."""
    if not path.is_file():
        raise KubeinfraError(f"{path}: no such inventory; name a file such as inventory.py")
    from pyinfra_cli.exceptions import UnexpectedExternalError  # these two replace the threads of who imports them
    from pyinfra_cli.inventory import make_inventory

    root = Path.cwd()
    if str(root) not in sys.path:
        sys.path.append(str(root))
    places = [root / "group_data", path.resolve().parent / "group_data", *group_data]
    if problems := syntax_problems([path, *group_data_files(places)]):
        raise KubeinfraError(*problems)
    directories = [str(directory) for directory in group_data]
    with ctx_state.use(State()):  # pyinfra notes in it which file it executes
        try:
            inventory: Inventory = make_inventory(str(path), cwd=str(root), group_data_directories=directories)
        except UnexpectedExternalError as error:
            raise KubeinfraError(problem(error.exception, error.filename)) from error
        except (PyinfraError, *MALFORMED) as error:
            raise KubeinfraError(malformed(error)) from error
    return inventory


def from_inventory(inventory: Inventory) -> tuple[Cluster, list[str]]:
    """The cluster and the warnings about it; KubeinfraError with all errors."""
    # pyinfra takes a pair for (names, data).
    if pairs := [group for group, data in inventory.group_data.items() if not isinstance(data, Mapping)]:
        raise KubeinfraError(*(f"inventory: {group} is no list of names; write [ ] in place of ( )" for group in pairs))
    values, source, problems = _settings(inventory)
    by_group, wrong = _settings_by_group(inventory)
    in_groups = _groups(inventory)
    problems += wrong + groups.problems(in_groups) + _listed_twice(inventory)
    problems += _directories(values, source)
    for where, data in _places(inventory):
        problems += _misspelled(where, data)
    meant = groups.corrected(in_groups)
    strangers = groups.strangers(in_groups)
    entries = [_entry(inventory, name, meant.get(name, set())) for name in inventory.hosts if name not in strangers]
    try:
        found = build(entries, values, source, by_group, further=OF_SETTINGS)
    except KubeinfraError as error:
        problems += error.problems
    if problems:
        raise KubeinfraError(*problems)
    return found


def _groups(inventory: Inventory) -> dict[str, list[str]]:
    """Every group -> its machines, as the inventory has them; without the two that pyinfra makes of all machines."""
    return {
        group: [host.name for host in inventory.get_group(group)]
        for group in inventory.group_data
        if group in inventory.groups
    }


def _directories(values: Mapping[str, Any], source: Mapping[str, str]) -> Iterator[str]:
    """Whether this machine has the directories that settings name."""
    for name, is_there, wanted in (
        ("artifacts_dir", _is_readable, "a directory that can be read: create it, or remove the setting"),
        ("cache_dir", _may_be_made, "a directory, and none can be made there: name another one"),
    ):
        if isinstance(text := values.get(name), str) and text.isprintable() and text.strip():
            try:
                path = Path(text).expanduser()
            except RuntimeError:  # the home of a user who is not known
                path = Path(text)
            if not is_there(path):
                yield f"{source[name]}: {name} {path} is not {wanted}"


def _is_readable(path: Path) -> bool:
    return os.access(path / ".", os.R_OK | os.X_OK)


def _may_be_made(path: Path) -> bool:
    nearest = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
    return nearest.is_dir() and not str(path).startswith("~")


def _settings(inventory: Inventory) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Settings of the whole cluster from group_data/all.py, then the role groups' files, then --data."""
    values: dict[str, Any] = {}
    source: dict[str, str] = {}
    problems = []
    layers = [("group_data/all.py", _own(inventory.get_data()))]
    layers += [
        (f"group_data/{group}.py", _without(PER_MACHINE, _own(inventory.get_group_data(group)))) for group in GROUPS
    ]
    layers += [("--data", _without(RUN_OPTIONS, _own(inventory.get_override_data())))]
    for where, layer in layers:
        for key, value in layer.items():
            earlier = source.get(key, "group_data/all.py")
            if where != "--data" and earlier != "group_data/all.py" and values[key] != value:
                here, there = shown(key, value), shown(key, values[key])
                problems.append(f"{where}: {key} is {here}, but {earlier} says {there}; keep one of them")
            values[key], source[key] = value, where
    return values, source, problems


def _settings_by_group(inventory: Inventory) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Group -> what its file says of the settings that may differ by machine; any group of the inventory may."""
    found: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for group, data in inventory.group_data.items():
        problems += _unread(inventory, group, data)
        if group in inventory.groups or group in GROUPS:
            own = _own(data)
            said = {key: own[key] for key in PER_MACHINE if key in own}
            found[group] = _without(inventory.get_override_data(), said)  # --data wins over every layer
    return found, problems


def _unread(inventory: Inventory, group: str, data: Mapping[str, Any]) -> Iterator[str]:
    """What nobody would read: a file of a group that is not there, and settings of the cluster in one of the user's."""
    if group in GROUPS or group == "all":
        return
    own, place = _own(data), f"group_data/{group}.py"
    role = groups.meant(group)
    if group not in inventory.groups and (own or (data and role)):
        close = [role] if role else get_close_matches(group, ["all", *inventory.groups], n=1)
        hint = f"did you mean {close[0]}.py?" if close else "name it all.py, or as a group of the inventory"
        yield f"{place}: no machine is in group {group}; {hint}"
    elif rest := [key for key in own if key not in PER_MACHINE]:
        known = ", ".join(f"{one}.py" for one in GROUPS)
        yield f"{place}: {', '.join(rest)} would not be read; settings of the cluster stand in all.py, {known}"


def _without(names: Iterable[str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in set(names)}


def _listed_twice(inventory: Inventory) -> list[str]:
    """pyinfra makes one machine of two lines with the same name, and says nothing; but it notes its group twice."""
    problems = []
    for name in inventory.hosts:
        counts = Counter(inventory.get_host(name).groups)
        once = min(counts.values())  # 2 if the name has a connector before it
        problems += [
            f"inventory: {group} lists {name} {count // once} times; each machine is listed once, under its own name"
            for group, count in counts.items()
            if count > once
        ]
    return problems


def _places(inventory: Inventory) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every place in which data are said, and what it says."""
    yield "group_data/all.py", inventory.get_data()
    for group in inventory.group_data:
        yield f"group_data/{group}.py", inventory.get_group_data(group)
    yield "--data", inventory.get_override_data()
    for name in inventory.hosts:
        yield f"inventory: {name}", inventory.get_host_data(name)


def _misspelled(where: str, data: Mapping[str, Any]) -> list[str]:
    """Names that pyinfra would ignore. "_" begins its arguments, and also the names of users' own variables."""
    found = []
    for key in data:
        known, likeness = (_SSH_KEYS, 0.0) if key.startswith("ssh_") else (_ARGUMENTS, 0.75)
        close = get_close_matches(key, known, n=1, cutoff=likeness) if key.startswith(("ssh_", "_")) else []
        if close and close[0] != key:
            found.append(f"{where}: unknown setting {key}; did you mean {close[0]}?")
    return found


def _entry(inventory: Inventory, name: str, in_groups: Iterable[str]) -> InventoryEntry:
    data = inventory.get_host_data(name)
    forced = [key for key in PER_MACHINE if key in inventory.get_override_data()]  # --data wins over every layer
    return InventoryEntry(name, frozenset(in_groups), _without(forced, _own(data)), data.get("ssh_hostname"))


def _own(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if not key.startswith(("ssh_", "_", _LAB, *_OTHER_CONNECTORS))}


@contextmanager
def as_pyinfra_error() -> Iterator[None]:
    """pyinfra shows a PyinfraError without a traceback, as the user's errors should look."""
    try:
        yield
    except KubeinfraError as error:
        raise PyinfraError("\n" + "\n".join(error.problems)) from None


def refuse(findings: Iterable[Finding]) -> None:
    """End the run with these findings, if there are any."""
    if sentences := [finding.sentence() for finding in findings]:
        raise PyinfraError("\n" + "\n".join(sentences))
