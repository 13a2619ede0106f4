"""Results of checks as data; messages, records and reports are made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]
EXPLAINED = ("; ", ": ")


@dataclass(frozen=True)
class Finding:
    """
    One thing that is not as it should be, on one machine or in the whole cluster.

    + check: name of what was checked, such as "systemd"; findings of one check are grouped by it
    + machine: its name in the inventory; "" for the whole cluster
    + level: an error ends the run, a warning does not; a note reports what is left out and why
    + found, wanted, remedy: the actual state, the expected state, what to do next; parts of one sentence
    + joints: punctuation before wanted, and before remedy; EXPLAINED if wanted is a clause of its own
    """

    check: str
    machine: str
    level: Level
    found: str
    wanted: str = ""
    remedy: str = ""
    joints: tuple[str, str] = (", ", "; ")

    def text(self) -> str:
        """The sentence without the machine, for output that already names the machine."""
        wanted = f"{self.joints[0]}{self.wanted}" if self.wanted else ""
        remedy = f"{self.joints[1]}{self.remedy}" if self.remedy else ""
        return f"{self.found}{wanted}{remedy}"

    def sentence(self) -> str:
        """Such as "m1: commands run as user 1000, root is needed; set _sudo = True in group_data/all.py"."""
        return f"{self.machine}: {self.text()}" if self.machine else self.text()
