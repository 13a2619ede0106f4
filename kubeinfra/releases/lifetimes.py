"""Which minors know a flag, a field, a feature gate or an admission plugin: lifetimes.toml, typed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from kubeinfra.releases.versions import numbers, written

Kind = Literal["flags", "fields", "gates", "plugins"]
Minor = tuple[int, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Lifetime:
    """
    The minors that know one name.

    + since, until: first and last of them; None: from 1.20 on, up to now; + instead: what to write in its place, or ""
    """

    name: str
    source: str
    since: Minor | None = None
    until: Minor | None = None
    instead: str = ""

    def knows(self, minor: Minor) -> bool:
        return (self.since is None or self.since <= minor) and (self.until is None or minor <= self.until)

    @property
    def text(self) -> str:
        """Such as "known up to 1.23" or "known from 1.22 to 1.30"."""
        if self.since and self.until:
            return f"known from {written(self.since)} to {written(self.until)}"
        return f"known up to {written(self.until)}" if self.until else f"known from {written(self.since or ())} on"


def _lifetime(name: str, table: Mapping[str, Any]) -> Lifetime:
    ends = {end: numbers(table[end]) for end in ("since", "until") if end in table}
    return Lifetime(name, table["source"], instead=table.get("instead", ""), **ends)


_TABLES: Any = tomllib.loads(Path(__file__).with_name("lifetimes.toml").read_text(encoding="utf-8"))
LIFETIMES: Mapping[Kind, Mapping[str, Mapping[str, Lifetime]]] = {
    kind: {
        program: {name: _lifetime(name, table) for name, table in names.items()} for program, names in programs.items()
    }
    for kind, programs in _TABLES.items()
}
"""Kind -> program, such as "kubelet", or "all" -> name -> its lifetime; what every minor knows is not there."""


def lifetime(kind: Kind, program: str, name: str) -> Lifetime | None:
    """None for a name that all minors know, and for one that is not known here."""
    programs = LIFETIMES[kind]
    return programs.get(program, {}).get(name) or programs.get("all", {}).get(name)


def unknown(kind: Kind, program: str, names: Iterable[str], minor: Minor) -> Iterator[Lifetime]:
    """Those of the names that the program of this minor does not know, as far as it is known here."""
    for name in names:
        if (found := lifetime(kind, program, name)) and not found.knows(minor):
            yield found


def known(kind: Kind, program: str, wanted: Mapping[str, T], minor: Minor) -> dict[str, T]:
    """What is wanted, without the names that the program of this minor does not know."""
    gone = {one.name for one in unknown(kind, program, wanted, minor)}
    return {name: value for name, value in wanted.items() if name not in gone}
