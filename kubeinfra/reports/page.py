"""One HTML page of a run, with everything in it: it opens from the disk, and prints."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kubeinfra.controller.records import RunRecord
from kubeinfra.reports import contents
from kubeinfra.reports.timeline import timeline
from kubeinfra.reports.topology import topology
from kubeinfra.reports.words import counted, duration, end_of

TEMPLATES = Path(__file__).resolve().parents[2] / "templates" / "report"

_environment = Environment(
    loader=FileSystemLoader(TEMPLATES),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=True,  # names, sentences and answers are data, whoever wrote them
)
_environment.filters["counted"] = counted
_environment.filters["minute"] = lambda time: f"{time:%Y-%m-%d %H:%M}"
_environment.filters["day"] = lambda time: f"{time:%Y-%m-%d}"


@dataclass(frozen=True)
class Tile:
    """A number that is seen first; `mark`: "good", "bad", "soon" or "", `link`: the section that has more."""

    value: str
    label: str
    link: str
    mark: str = ""


def page(record: RunRecord, now: datetime) -> str:
    """
    The page of one run.

    + now: aware; what the days that certificates have left are counted from
    """
    certificates = contents.certificates(record, now)
    return _environment.get_template("page.html.j2").render(
        record=record,
        now=now,
        took=duration((end_of(record) - record.started).total_seconds()),
        tiles=_tiles(record, certificates),
        timeline=timeline(record),
        topology=topology(record),
        changes=contents.changes(record),
        restarts=contents.restarts(record),
        findings=contents.findings(record),
        health=contents.health(record),
        certificates=certificates[: contents.OPEN_LINES],
        more_certificates=certificates[contents.OPEN_LINES :],
    )


def _tiles(record: RunRecord, certificates: list[contents.CertificateLine]) -> list[Tile]:
    levels = Counter(finding.level for finding in record.findings)
    found = f"{levels['error']} / {levels['warning']} / {levels['note']}"
    tiles = [
        Tile(f"{len(record.machines):,}", "machines", "topology"),
        Tile(f"{len(record.changes):,}", "changes", "changes"),
        Tile(f"{len(record.restarts):,}", "starts and restarts", "restarts"),
        Tile(found, "errors / warnings / notes", "findings", "bad" if levels["error"] else ""),
    ]
    if record.health:
        well = sum(row.healthy for row in record.health)
        mark = "good" if well == len(record.health) else "bad"
        tiles.append(Tile(f"{well:,} of {len(record.health):,}", "answers are healthy", "health", mark))
    return tiles + [_first_to_end(line) for line in certificates[:1]]


def _first_to_end(line: contents.CertificateLine) -> Tile:
    if line.mark == "ended":
        return Tile(f"{line.certificate.ends:%Y-%m-%d}", "a certificate has ended", "certificates", "bad")
    mark = {"very-soon": "bad"}.get(line.mark, line.mark)
    return Tile(counted(line.left, "day"), "until a certificate ends", "certificates", mark)
