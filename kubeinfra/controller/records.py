"""
What the controller keeps of each run that may change something: who ran what, what changed and why, how it ended.

    .kubeinfra/<cluster>/runs/<time>.json    0600 in a directory of 0700; the newest KEPT of them

A record is for reading afterwards: no run decides anything by it. It holds no secrets: arguments are masked when it
is made, and what it tells of changes is what the run has told on the screen.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from kubeinfra.findings import Finding

SCHEMA = 1  # of RunRecord; a higher one is of a newer kubeinfra


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _as_kept(time: datetime) -> datetime:
    return datetime.fromisoformat(_iso(time))


Time = Annotated[AwareDatetime, AfterValidator(_as_kept), PlainSerializer(_iso)]
"""An aware datetime, to the millisecond; ISO 8601 in UTC in the file."""
Result = Literal["succeeded", "failed", "interrupted"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunMachine(_Part):
    """One machine of the inventory; `arch`: if the run has asked; `etcd_member`: its name there, or ""."""

    name: str
    address: str
    hostname: str
    groups: tuple[str, ...]
    arch: str | None = None
    etcd_member: str = ""


class Span(_Part):
    """From when to when; `ended` is None if it was cut off."""

    began: Time
    ended: Time | None = None


class Phase(Span):
    """A part of the run between two barriers; `machines`: name -> when this machine was at work in it."""

    name: str
    machines: dict[str, Span] = Field(default_factory=dict)


class Operation(_Part):
    """One operation of pyinfra on one machine."""

    name: str
    machine: str
    began: Time
    seconds: float
    outcome: Literal["changed", "unchanged", "failed"]


class Change(_Part):
    """What was changed, in the sentence that the run told."""

    machine: str
    sentence: str
    at: Time


class Restart(_Part):
    """A unit that was started, restarted or reloaded, and why; no reasons: it did not run."""

    machine: str
    unit: str
    verb: Literal["start", "restart", "reload"]
    reasons: tuple[str, ...] = ()


class HealthRow(_Part):
    """One line of the table of health."""

    component: str
    subject: str
    healthy: bool
    detail: str


class Certificate(_Part):
    """A certificate on a machine, as it was seen or issued last; `machine` is "" on the controller."""

    machine: str
    path: str
    subject: str
    issuer: str
    ends: Time


class RunRecord(_Part):
    """
    One run.

    + cluster: its name; kubernetes: its release; endpoint: address:port of its API
    + virtual_address: what the load balancers hold, None without them
    + by: user@host; commit: of the checkout, None without git; arguments: of pyinfra, masked
    + message: what ended it, "" if it succeeded
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_number: Literal[1] = Field(default=1, alias="schema")
    cluster: str
    kubernetes: str = ""
    endpoint: str = ""
    virtual_address: str | None = None
    started: Time
    ended: Time | None = None
    by: str
    commit: str | None = None
    arguments: tuple[str, ...] = ()
    result: Result
    message: str = ""
    machines: tuple[RunMachine, ...] = ()
    phases: tuple[Phase, ...] = ()
    operations: tuple[Operation, ...] = ()
    changes: tuple[Change, ...] = ()
    restarts: tuple[Restart, ...] = ()
    findings: tuple[Finding, ...] = ()
    health: tuple[HealthRow, ...] = ()
    certificates: tuple[Certificate, ...] = ()

    @property
    def name(self) -> str:
        """Its name on the disk, which sorts by time: "2026-11-25T21-38-19.250Z"."""
        return _iso(self.started).replace(":", "-")

    def text(self) -> str:
        """What its file has: one JSON document in one line."""
        return self.model_dump_json(by_alias=True) + "\n"
