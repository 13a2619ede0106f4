"""The page of a run: what it tells, what it folds, and that whatever a machine says is only text in it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from record_samples import LAYOUT, STARTED, large, machines, record

from kubeinfra.controller.records import Certificate, Change, RunRecord, Span
from kubeinfra.findings import Finding
from kubeinfra.reports import contents
from kubeinfra.reports.page import page
from kubeinfra.reports.timeline import MOST_ROWS, WIDTH, timeline
from kubeinfra.reports.topology import topology
from kubeinfra.reports.words import clock, duration, who

NOW = STARTED + timedelta(hours=1)
EMPTY = RunRecord(cluster="demo", started=STARTED, by="you@here", result="interrupted")
HOSTILE = "<script>alert('&')</script>"


# Words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.84, "0.8 s"), (42.4, "42 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (3725, "1 h 02 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("seconds", "words"), [(5, "0:05"), (750, "12:30"), (3720, "1:02:00")])
def test_the_clock_of_the_timeline(seconds: float, words: str) -> None:
    assert clock(seconds) == words


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (list(LAYOUT), "all 6 machines"),
        (["node02", "node01"], "both nodes"),
        (["master01", "node01", "node02"], "all 3 etcd members"),
        (["master01", "lb01"], "master01, lb01"),
        (["master01", "master02", "node01", "node02", "lb01"], "master01, master02, node01 and 2 more"),
        (["master01"], "master01"),
        ([""], "cluster"),
    ],
)
def test_machines_in_few_words(names: list[str], words: str) -> None:
    assert who(names, machines(LAYOUT)) == words


# The timeline


def test_each_of_a_few_machines_has_a_row() -> None:
    found = timeline(record())
    assert found is not None
    assert [row.label for row in found.rows] == list(LAYOUT)
    assert found.folded == 0


def test_of_many_machines_those_that_failed_or_took_longest_have_a_row() -> None:
    run = large()
    found = timeline(run)
    assert found is not None
    assert len(found.rows) <= MOST_ROWS
    assert "node117" in [row.label for row in found.rows], "the one that failed"
    assert found.folded + len([row for row in found.rows if not row.folded]) == len(run.machines)
    (rest,) = [row for row in found.rows if row.folded]
    assert rest.label == "230 more: node"
    assert "half of them within" in rest.bars[0].title


@pytest.mark.parametrize("run", [record(), large()], ids=["six", "many"])
def test_bars_are_inside_the_picture(run: RunRecord) -> None:
    found = timeline(run)
    assert found is not None
    bars = [bar for row in found.rows for bar in row.bars]
    assert {bar.kind for bar in bars} >= {"work", "changed"}
    assert all(found.left <= bar.x and bar.width > 0 and bar.x + bar.width <= WIDTH for bar in bars)
    assert all(band.x + band.width <= WIDTH + 0.5 for band in found.bands)
    assert found.rows[-1].y < found.height


def test_a_phase_that_was_cut_off_lasts_to_the_last_that_is_known() -> None:
    whole = record()
    last = whole.phases[-1]
    spans = {name: Span(began=span.began) for name, span in last.machines.items()}
    cut = last.model_copy(update={"ended": None, "machines": spans})
    found = timeline(whole.model_copy(update={"ended": None, "phases": (*whole.phases[:-1], cut)}))
    assert found is not None
    assert found.bands[-1].x + found.bands[-1].width == pytest.approx(WIDTH, abs=1)


@pytest.mark.parametrize(
    "moved", [{"ended": STARTED + timedelta(seconds=30)}, {"started": STARTED + timedelta(minutes=1)}]
)
def test_a_clock_that_was_set_meanwhile_draws_nothing_outside(moved: dict[str, Any]) -> None:
    found = timeline(record(**moved))
    assert found is not None
    assert all(found.left <= bar.x and bar.x + bar.width <= WIDTH for row in found.rows for bar in row.bars)


# The topology


def test_load_balancers_stand_before_masters_and_masters_before_etcd() -> None:
    found = topology(record())
    assert found is not None
    lanes = {lane.name.split(" · ")[0]: lane for lane in found.lanes}
    assert lanes["Load balancers"].y < lanes["Control plane"].y < lanes["etcd"].y
    assert [card.name for card in lanes["Nodes"].cards] == ["node01", "node02"]
    assert lanes["etcd"].cards[1].address.startswith("etcd02 · ")
    assert lanes["etcd"].cards[1].also == "also node"
    assert found.endpoint == "192.168.80.100:6443"
    assert found.kind == "virtual address, held by lb01"


def test_without_load_balancers_the_endpoint_leads_to_the_masters() -> None:
    found = topology(record({"m1": "master node etcd"}, virtual_address=None, endpoint="m1:6443"))
    assert found is not None
    assert [lane.name for lane in found.lanes] == ["Control plane · 1 machine", "etcd · 1 machine", "Nodes · 1 machine"]
    assert found.kind == "endpoint of the API"


def test_of_many_nodes_the_ones_with_a_problem_are_shown() -> None:
    found = topology(large())
    assert found is not None
    nodes = found.lanes[-1]
    assert [card.name for card in nodes.cards if card.problem] == ["node117"]
    assert nodes.more + len(nodes.cards) == 235
    assert nodes.rest is not None and nodes.rest.name == f"{nodes.more} more"
    cards = [*nodes.cards, nodes.rest]
    assert len({(card.x, card.y) for card in cards}) == len(cards), "each in a place of its own"


# Lists


def test_the_same_change_on_several_machines_is_one_line() -> None:
    (host, *_) = contents.changes(record())
    assert host.phase == "operating system"
    assert [(line.text, line.machines) for line in host.shown] == [
        ("install packages conntrack curl ipset", "all 6 machines"),
        ("host name bare -> <name>", "all 6 machines"),
        ("write /etc/hosts", "all 6 machines"),
    ]


def test_a_change_on_one_machine_keeps_its_names() -> None:
    change = Change(machine="node01", sentence="host name bare -> node01", at=STARTED)
    ((line,),) = [part.shown for part in contents.changes(record(changes=[change]))]
    assert (line.text, line.machines) == ("host name bare -> node01", "node01")


def test_errors_stand_before_notes_and_what_is_not_healthy_before_what_is() -> None:
    run = large()
    assert [line.level for line in contents.findings(run)] == ["error", "warning", "note"]
    first = contents.health(run)[0]
    assert not first.shown[0].healthy
    assert first.rows == 235


@pytest.mark.parametrize(("days", "mark"), [(-1, "ended"), (0, "very-soon"), (6, "very-soon"), (29, "soon"), (30, "")])
def test_certificates_that_end_soon_are_marked(days: int, mark: str) -> None:
    ends = NOW + timedelta(days=days, minutes=1)
    certificate = Certificate(machine="m1", path="/x.pem", subject="x", issuer="y", ends=ends)
    (line,) = contents.certificates(record(certificates=[certificate]), NOW)
    assert (line.left, line.mark) == (days, mark)


# The page


@pytest.mark.parametrize("run", [EMPTY, record(), large()], ids=["empty", "six", "many"])
def test_everything_is_in_the_page_itself(run: RunRecord) -> None:
    text = page(run, NOW)
    assert not re.search(r"""(src|href)=["'](?!#|data:,)|@import|url\((?!#)|<script|<link rel="stylesheet""", text)


def test_what_machines_say_is_only_text() -> None:
    layout = {HOSTILE: "master node etcd"}
    finding = Finding("x", HOSTILE, "error", HOSTILE, HOSTILE, HOSTILE)
    health = [{"component": HOSTILE, "subject": HOSTILE, "healthy": False, "detail": HOSTILE}]
    restart = {"machine": HOSTILE, "unit": HOSTILE, "verb": "restart", "reasons": [HOSTILE]}
    certificate = Certificate(machine=HOSTILE, path=HOSTILE, subject=HOSTILE, issuer=HOSTILE, ends=NOW)
    change = Change(machine=HOSTILE, sentence=HOSTILE, at=NOW)
    words = dict.fromkeys(("cluster", "kubernetes", "endpoint", "by", "commit", "message", "virtual_address"), HOSTILE)
    text = page(
        record(
            layout,
            findings=[finding],
            health=health,
            restarts=[restart],
            certificates=[certificate],
            changes=[change, change.model_copy(update={"machine": ""})],
            arguments=[HOSTILE],
            **words,
        ),
        NOW,
    )
    assert "<script" not in text
    assert text.count("&lt;script&gt;") > 20


def test_a_run_that_ended_at_once_has_a_page_too() -> None:
    text = page(EMPTY, NOW)
    assert "interrupted" in text
    assert "<svg" not in text


def test_the_page_says_how_many_machines_are_folded() -> None:
    assert "230 machines folded" in page(large(), NOW)
    assert "folded:" not in page(record(), NOW)
