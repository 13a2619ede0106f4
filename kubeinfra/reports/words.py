"""Times, numbers and lists of machines as a report says them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from kubeinfra.controller.records import RunMachine, RunRecord

NAMED = 4  # machines that are listed by name; of more, the rest is counted
GROUP_WORDS = {"master": "masters", "node": "nodes", "etcd": "etcd members", "lb": "load balancers"}


def end_of(record: RunRecord) -> datetime:
    """When it ended; of a run that was killed, the last that is known."""
    known = [record.started, *(phase.ended or phase.began for phase in record.phases)]
    known += [span.ended or span.began for phase in record.phases for span in phase.machines.values()]
    known += [change.at for change in record.changes]
    return record.ended or max(known)


def duration(seconds: float) -> str:
    """Such as "0.8 s", "42 s", "3 min 05 s", "1 h 02 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(whole / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"


def clock(seconds: float) -> str:
    """Such as "0:05", "12:30", "1:02:00"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(number: int, one: str, many: str = "") -> str:
    """Such as "1 machine", "240 machines"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def clipped(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def who(names: Collection[str], machines: Sequence[RunMachine]) -> str:
    """These machines in few words: "all 6 machines", "all nodes", "m1, m2", "n1, n2, n3 and 37 more"."""
    wanted = set(names)
    if len(wanted) > 1:
        if wanted == {machine.name for machine in machines}:
            return f"{_all(len(wanted))} machines"
        for group, word in GROUP_WORDS.items():
            if wanted == {machine.name for machine in machines if group in machine.groups}:
                return f"{_all(len(wanted))} {word}"
    listed = list(dict.fromkeys(names))
    if len(listed) <= NAMED:
        return ", ".join(listed) or "cluster"
    return f"{', '.join(listed[: NAMED - 1])} and {len(listed) - NAMED + 1} more"


def _all(number: int) -> str:
    return "both" if number == 2 else f"all {number:,}"
