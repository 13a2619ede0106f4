"""
Settings that may differ by machine: what the cluster, groups and the machine itself say -> what holds on it.

A machine wins over its groups, a group over the cluster. A dictionary is merged by its keys at the top: the nearest
value of a key holds, as a whole. A list holds as a whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from kubeinfra.cluster.settings import Settings, read


@dataclass(frozen=True)
class Layer:
    """What one place says of some settings; `where` is that place as messages name it."""

    where: str
    values: Mapping[str, Any]

    @classmethod
    def read(cls, values: Mapping[str, Any], where: str) -> tuple[Layer, list[str]]:
        """Checked values, and one sentence for each that is wrong, which is left out."""
        problems: list[str] = []
        good = {}
        for name, value in values.items():
            found, wrong = read(Settings, {name: value}, {name: where})
            problems += wrong
            if found:
                good[name] = getattr(found, name)
        return cls(where, good), problems


def merged(settings: Settings, layers: Sequence[Layer]) -> Settings:
    """The cluster's settings under these layers, of which each wins over those before it."""
    values: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.values.items():
            present = values.get(name, getattr(settings, name))
            values[name] = {**present, **value} if isinstance(value, dict) else value
    return settings.model_copy(update=values) if values else settings


def disagreements(groups: Mapping[str, Sequence[Layer]], machines: Mapping[str, Layer]) -> Iterator[str]:
    """
    One sentence for each value on which the files of two groups differ, unless every machine in both says its own.

    + groups: machine -> the layers of its groups; + machines: machine -> its own layer
    """
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for machine, layers in groups.items():
        own = _flat(machines[machine])
        for one, other in combinations(layers, 2):
            mine, theirs = _flat(one), _flat(other)
            for name in mine.keys() & theirs.keys() - own.keys():
                if mine[name] != theirs[name]:
                    said = f"{other.where}: {name} is {theirs[name]!r}", f"{one.where} says {mine[name]!r}"
                    found[said].append(machine)
    for (here, there), names in sorted(found.items()):
        yield f"{here}, but {there}; {_listed(names)} in both: keep one of them, or say it for the machine"


def _flat(layer: Layer) -> dict[str, Any]:
    """Name of each value that is merged by itself -> the value."""
    return {
        name: value
        for setting, whole in layer.values.items()
        for name, value in (
            {f"{setting}[{key!r}]": one for key, one in whole.items()} if isinstance(whole, dict) else {setting: whole}
        ).items()
    }


def _listed(names: Sequence[str]) -> str:
    shown = names if len(names) <= 3 else [*names[:3], f"{len(names) - 3} more"]
    return f"{', '.join(shown)} {'is' if len(names) == 1 else 'are'}"
