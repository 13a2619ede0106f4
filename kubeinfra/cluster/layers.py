"""
Settings that may differ by machine: those of the cluster, of the groups and of the machine, merged.

A machine's value overrides that of its groups, a group's that of the cluster. A dictionary is merged by its
top-level keys; the value of a key, and a list, is replaced as a whole.
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
    """Some settings as one file or machine has them; `where`: the name of that place in messages."""

    where: str
    values: Mapping[str, Any]

    @classmethod
    def read(cls, values: Mapping[str, Any], where: str) -> tuple[Layer, list[str]]:
        """The valid values, and one sentence for each invalid one, which is left out."""
        problems: list[str] = []
        good = {}
        for name, value in values.items():
            found, wrong = read(Settings, {name: value}, {name: where})
            problems += wrong
            if found:
                good[name] = getattr(found, name)
        return cls(where, good), problems


def merged(settings: Settings, layers: Sequence[Layer]) -> Settings:
    """The cluster's settings with these layers applied; each layer overrides those before it."""
    values: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.values.items():
            present = values.get(name, getattr(settings, name))
            values[name] = {**present, **value} if isinstance(value, dict) else value
    return settings.model_copy(update=values) if values else settings


def disagreements(groups: Mapping[str, Sequence[Layer]], machines: Mapping[str, Layer]) -> Iterator[str]:
    """
    One sentence for each value that differs between two groups' files, unless each machine in both has its own.

    + groups: machine -> the layers of its groups; + machines: machine -> its own layer
    """
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for machine, layers in groups.items():
        own = _flat(machines[machine])
        for one, other in combinations(layers, 2):
            values, other_values = _flat(one), _flat(other)
            for name in values.keys() & other_values.keys() - own.keys():
                if values[name] != other_values[name]:
                    sentence = (
                        f"{other.where}: {name} is {other_values[name]!r}",
                        f"{one.where} says {values[name]!r}",
                    )
                    found[sentence].append(machine)
    for (here, there), names in sorted(found.items()):
        yield f"{here}, but {there}; {_listed(names)} in both: keep one of them, or say it for the machine"


def _flat(layer: Layer) -> dict[str, Any]:
    """Each setting, or top-level key of a setting, that is merged on its own -> its value."""
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
