"""Configuration documents: mappings of mappings, such as a YAML or TOML file holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merged(own: Mapping[str, Any], further: Mapping[str, Any]) -> dict[str, Any]:
    """Both; where both have a value, the further one, unless both values are mappings, which are merged as well."""
    found = {**own, **further}
    for key in own.keys() & further.keys():
        if isinstance(own[key], Mapping) and isinstance(further[key], Mapping):
            found[key] = merged(own[key], further[key])
    return found
