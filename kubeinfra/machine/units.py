"""Units in the words of an older systemd: their templates are written for a current one. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from kubeinfra.machine.wanted import File, Wanted
from kubeinfra.paths import UNITS

PLUS = 231
"""systemd that knows "+" before a command, which runs it as root (its NEWS); an older one skips the line."""
START_LIMIT_INTERVAL_SEC = 230
"""systemd that knows it, in [Unit] (its NEWS); an older one has StartLimitInterval in [Service]."""


def for_systemd(item: Wanted, version: int | None) -> Wanted:
    """This file as systemd of that version reads it: the same, unless it is a unit or drop-in and systemd is older."""
    if version is None or version >= PLUS or not isinstance(item, File) or item.content is None:
        return item
    return replace(item, content=_older(item.content, version)) if item.path.startswith(f"{UNITS}/") else item


def _older(unit: str, version: int) -> str:
    unit = re.sub(r"^(Exec\w+=)\+", r"\1", unit, flags=re.MULTILINE)
    if version < START_LIMIT_INTERVAL_SEC and "StartLimitIntervalSec=0\n" in unit:
        unit = unit.replace("StartLimitIntervalSec=0\n", "")
        unit = unit.replace("[Service]\n", "[Service]\nStartLimitInterval=0\n")
    return unit
