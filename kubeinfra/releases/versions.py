"""Kubernetes versions as text: what may be asked for, and a word for each way to write it wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

_NUMBER = r"(0|[1-9]\d{0,3})"
_RELEASE = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}", re.ASCII)
_MINOR = re.compile(rf"{_NUMBER}\.{_NUMBER}", re.ASCII)


def numbers(version: str) -> tuple[int, ...]:
    """Its numbers, fit for comparing: "1.20.15" -> (1, 20, 15), "3.4" -> (3, 4); a ValueError for anything else."""
    return tuple(int(part) for part in version.split("."))


def minor_of(version: str) -> str:
    """The minor of a release: "1.20.15" -> "1.20"."""
    return version.rpartition(".")[0]


def written(minor: tuple[int, ...]) -> str:
    """As people write it: (1, 20) -> "1.20"."""
    return ".".join(map(str, minor))


def is_release(text: str) -> bool:
    """Whether this is a version of three numbers, such as "1.20.15", of whatever program."""
    return _RELEASE.fullmatch(text) is not None


def why_not(value: object, newest: Mapping[str, str]) -> str | None:
    """
    Why no release can be deployed under this name, with what to write instead; None if one can.

    + value: the setting as it was written, of whatever type
    + newest: each minor that is known, oldest first -> its newest release: {"1.20": "1.20.15"}
    """
    *_, last = newest.values()
    if not isinstance(value, str):
        return f"write it as text, with all three numbers: {_of_number(value, newest)!r}"
    plain = value.strip().removeprefix("v")
    if plain != value and is_release(plain):
        return why_not(plain, newest) or f"write the three numbers alone: {plain!r}"
    if _MINOR.fullmatch(plain):
        near = newest.get(plain)
        return f"its third number is missing: {near!r}" if near else _outside((*numbers(plain), 0), newest)
    if not is_release(value):
        near = next(iter(get_close_matches(plain, newest.values(), n=1, cutoff=0.8)), last)
        return f"write a release by its three numbers, such as {near!r}; `python -m kubeinfra releases` lists them"
    return None if minor_of(value) in newest else _outside(numbers(value), newest)


def _of_number(value: object, newest: Mapping[str, str]) -> str:
    """The release that a number was meant for: Python reads 1.20 as 1.2, and no minor below 1.10 is meant any more."""
    minor = f"{value:.2f}" if isinstance(value, float) else ""
    return newest.get(minor, max(newest.values(), key=numbers))


def _outside(found: tuple[int, ...], newest: Mapping[str, str]) -> str:
    oldest, *_, last = newest
    is_older = found[:2] < numbers(oldest)
    says = "older" if is_older else "newer"
    near = newest[oldest if is_older else last]
    return f"it is {says} than what this checkout knows, {oldest} to {last}; the nearest is {near!r}"
