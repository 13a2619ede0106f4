"""The cluster as a picture: who reaches the API by which address, and which machine has which part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil

from kubeinfra.components.engines import ENGINES
from kubeinfra.controller.records import RunMachine, RunRecord
from kubeinfra.reports.words import clipped, counted

LEFT, RIGHT, GAP = 660, 450, 50  # columns: the control plane's lanes, and the nodes
WIDTH = LEFT + GAP + RIGHT
PADDING, HEAD, SPACE = 14, 34, 8
CARD_HEIGHT = 52
CARD_LETTERS = 20
BETWEEN = 40  # where an arrow goes from lane to lane
START = 92  # below the endpoint
MOST_ROWS = 2  # of cards in a lane at the left
LEAST_NODE_ROWS = 4
_SHORT = {"master": "control plane", "etcd": "etcd", "node": "node", "lb": "load balancer"}


@dataclass(frozen=True)
class Card:
    """A machine in a lane; `also`: its other parts; `problem`: what is wrong with it, "" for nothing."""

    x: float
    y: float
    width: float
    name: str
    address: str
    also: str
    title: str
    problem: str = ""


@dataclass(frozen=True)
class Lane:
    """Machines of one group; `more`: how many of them have no card, and the position of the line that says so."""

    name: str
    does: str
    x: float
    y: float
    width: float
    height: float
    cards: tuple[Card, ...]
    more: int = 0
    rest: Card | None = None


@dataclass(frozen=True)
class Arrow:
    """From lane to lane; `path` is SVG's, the words stand at x, y."""

    path: str
    words: str = ""
    x: float = 0
    y: float = 0


@dataclass(frozen=True)
class Topology:
    width: float
    height: float
    endpoint: str
    kind: str
    lanes: tuple[Lane, ...]
    arrows: tuple[Arrow, ...] = field(default=())


def topology(record: RunRecord) -> Topology | None:
    """None for a record without machines."""
    if not record.machines:
        return None
    problems = _problems(record)
    left: list[Lane] = []
    engine = next((row.component for row in record.health if row.component in ENGINES), "nginx")
    for group, name, does in (
        ("lb", "Load balancers", f"{engine}, keepalived"),
        ("master", "Control plane", "kube-apiserver, kube-controller-manager, kube-scheduler"),
        ("etcd", "etcd", ""),
    ):
        y = left[-1].y + left[-1].height + BETWEEN if left else START
        members = [machine for machine in record.machines if group in machine.groups]
        if members:
            left.append(_lane(group, name, does, members, (0, y, LEFT), MOST_ROWS, problems))
    bottom = left[-1].y + left[-1].height if left else START
    nodes = [machine for machine in record.machines if "node" in machine.groups]
    right = []
    if nodes:
        room = int((bottom - START - HEAD - PADDING + SPACE) // (CARD_HEIGHT + SPACE))
        rows = max(room, LEAST_NODE_ROWS)
        box = (LEFT + GAP, START, RIGHT)
        right = [_lane("node", "Nodes", "kubelet, kube-proxy, pods", nodes, box, rows, problems)]
    return Topology(
        width=WIDTH,
        height=max(lane.y + lane.height for lane in [*left, *right]) + 2,
        endpoint=record.endpoint,
        kind=_endpoint_kind(record),
        lanes=(*left, *right),
        arrows=tuple(_arrows(left, right)),
    )


def _endpoint_kind(record: RunRecord) -> str:
    if not record.virtual_address:
        return "endpoint of the API"
    holders = [row.subject for row in record.health if row.component == "virtual address" and row.detail == "holds it"]
    return f"virtual address, held by {' and '.join(holders)}" if holders else "virtual address"


def _problems(record: RunRecord) -> dict[str, str]:
    """Machine -> what the run found wrong with it; health names a machine by its name, its address or its member."""
    found: dict[str, list[str]] = {}
    for finding in record.findings:
        if finding.level == "error":
            found.setdefault(finding.machine, []).append(finding.text())
    for machine in record.machines:
        names = {machine.name, machine.hostname, machine.address, machine.etcd_member}
        for row in record.health:
            if not row.healthy and row.subject in names:
                found.setdefault(machine.name, []).append(f"{row.component}: {row.detail}")
    return {name: "; ".join(reasons) for name, reasons in found.items()}


def _lane(
    group: str,
    name: str,
    does: str,
    members: Sequence[RunMachine],
    box: tuple[float, float, float],
    most_rows: int,
    problems: dict[str, str],
) -> Lane:
    """+ box: x, y and width"""
    x, y, width = box
    inner = width - 2 * PADDING
    columns = int((inner + SPACE) // (140 + SPACE))
    card_width = round((inner - SPACE * (columns - 1)) / columns, 1)
    places = [
        (
            x + PADDING + (card_width + SPACE) * (number % columns),
            y + HEAD + (CARD_HEIGHT + SPACE) * (number // columns),
        )
        for number in range(columns * most_rows)
    ]
    shown = _worth_showing(members, len(places), problems)
    cards = tuple(
        _card(group, machine, place, card_width, problems) for machine, place in zip(shown, places, strict=False)
    )
    more = len(members) - len(shown)
    rest = _rest(more, places[len(shown)], card_width) if more else None
    rows = ceil(min(len(members), len(places)) / columns)
    height = HEAD + rows * (CARD_HEIGHT + SPACE) - SPACE + PADDING
    return Lane(f"{name} · {counted(len(members), 'machine')}", does, x, y, width, height, cards, more, rest)


def _worth_showing(members: Sequence[RunMachine], places: int, problems: dict[str, str]) -> list[RunMachine]:
    """All, or as many as leave a place for the rest; those with a problem before the others."""
    if len(members) <= places:
        return list(members)
    chosen = sorted(members, key=lambda machine: machine.name not in problems)[: places - 1]
    return [machine for machine in members if machine in chosen]


def _card(group: str, machine: RunMachine, place: tuple[float, float], width: float, problems: dict[str, str]) -> Card:
    also = ", ".join(_SHORT.get(one, one) for one in sorted(machine.groups) if one != group)
    problem = problems.get(machine.name, "")
    return Card(
        x=place[0],
        y=place[1],
        width=width,
        name=clipped(machine.name, CARD_LETTERS),
        address=f"{machine.etcd_member} · {machine.address}" if group == "etcd" else machine.address,
        also=f"also {also}" if also else "",
        title=f"{machine.name} ({machine.hostname}) {machine.address}" + (f": {problem}" if problem else ""),
        problem=problem,
    )


def _rest(more: int, place: tuple[float, float], width: float) -> Card:
    return Card(place[0], place[1], width, f"{more:,} more", "", "", f"{counted(more, 'machine')} without a card here")


def _arrows(left: Sequence[Lane], right: Sequence[Lane]) -> Iterable[Arrow]:
    """kubectl and the nodes to the endpoint, then down from lane to lane."""
    middle = LEFT / 2
    yield Arrow(f"M 66 28 H {middle - 174}", "kubectl", 12, 32)
    if left:
        yield Arrow(f"M {middle} 50 V {START - 4}")
    for upper, lower in pairwise(left):
        words = "https, port 2379" if lower.name.startswith("etcd") else "to every API server"
        yield Arrow(
            f"M {middle} {upper.y + upper.height} V {lower.y - 4}", words, middle + 10, lower.y - BETWEEN / 2 + 4
        )
    for lane in right:
        x = lane.x + lane.width / 2
        yield Arrow(f"M {x} {lane.y} V 28 H {middle + 174}", "kubelet, kube-proxy", middle + 190, 20)
