"""What many machines have to say, in as few lines as what differs between them needs. Pure text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

NAMED = 6  # machines that a line names; of more it names two
ALIKE = 4  # consecutive lines of a diff that differ only in their numbers; of more the first two and the last are shown
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Told:
    """One sentence about one machine, with the lines of a diff if it has one."""

    machine: str
    sentence: str
    diff: tuple[str, ...] = ()


def names(machines: Sequence[str]) -> str:
    """Such as "[node01 node02 ... 98 more]"."""
    if len(machines) <= NAMED:
        return f"[{' '.join(machines)}]"
    return f"[{' '.join(machines[:2])} ... {len(machines) - 2} more]"


def folded(told: Iterable[Told], own: Mapping[str, Mapping[str, str]]) -> list[str]:
    """
    Lines in the order of the first of each kind; machines that say the same share theirs, and are named in the order
    of `own`.

    + own: machine -> what only it has -> what stands for that, such as "192.168.80.11" -> "<address>". Machines whose
      sentences and diffs differ in nothing else share their lines too, and these have "<address>" in its place
    """
    exact = _grouped(told, lambda one: (one.sentence, one.diff))
    alone = [group[0] for group in exact if len(group) == 1]
    hidden = {id(one): _without_own(one, own.get(one.machine, {})) for one in alone}
    alike = {id(group[0]): group for group in _grouped(alone, lambda one: hidden[id(one)])}
    places = {machine: place for place, machine in enumerate(own)}
    lines = []
    for group in exact:
        if len(group) > 1:
            lines += _lines(_machines(group, places), group[0].sentence, group[0].diff)
        elif shared := alike.get(id(group[0])):
            sentence, diff = hidden[id(group[0])] if len(shared) > 1 else (group[0].sentence, group[0].diff)
            lines += _lines(_machines(shared, places), sentence, diff)
    return lines


def _machines(group: Iterable[Told], places: Mapping[str, int]) -> list[str]:
    return sorted((one.machine for one in group), key=lambda machine: places.get(machine, 0))


def _grouped(told: Iterable[Told], key: Callable[[Told], object]) -> list[list[Told]]:
    groups: dict[object, list[Told]] = {}
    for one in told:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def _without_own(one: Told, own: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    if not own:
        return one.sentence, one.diff
    longest_first = sorted(own, key=len, reverse=True)
    # As a whole word: 192.168.80.1 is no part of 192.168.80.11, and m1 none of m1-old.
    words = re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-]|\.\w)")
    text = "\n".join((one.sentence, *one.diff))
    sentence, *diff = words.sub(lambda found: own[found[0]], text).split("\n")
    return sentence, tuple(diff)


def _lines(machines: Sequence[str], sentence: str, diff: Sequence[str]) -> list[str]:
    unique = list(dict.fromkeys(machines))
    times = len(machines) // len(unique)
    again = f" ({times} times)" if times > 1 else ""
    return [f"{names(unique)} {sentence}{again}", *(f"    {line}" for line in shortened(diff))]


def shortened(diff: Sequence[str]) -> list[str]:
    """A diff without the inner ones of consecutive lines that differ only in their numbers, such as of /etc/hosts."""
    lines: list[str] = []
    for _, same in groupby(diff, key=lambda line: _NUMBER.sub("0", line)):
        alike = list(same)
        if len(alike) > ALIKE:
            alike = [*alike[:2], f"{alike[0][:1]}... {len(alike) - 3} more like these", alike[-1]]
        lines += alike
    return lines
