"""A run says what happens when it happens, and what it waits for when that lasts."""

from __future__ import annotations

import pytest

from kubeinfra.reports.fold import Told
from kubeinfra.run.progress import AGAIN, HOLD, LONG, Progress


class Shown:
    """What was printed, by a clock that goes when it is told to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.seconds = 0.0
        self.progress = Progress(self.lines.append, lambda: self.seconds, lambda: {"m1": {}, "m2": {}})

    def after(self, seconds: float) -> list[str]:
        """The lines of these seconds, a tick in each."""
        self.lines.clear()
        for _ in range(int(seconds)):
            self.seconds += 1
            self.progress.tick()
        return self.lines


@pytest.fixture
def shown() -> Shown:
    return Shown()


def test_a_sentence_waits_for_others_like_it_but_not_for_long(shown: Shown) -> None:
    shown.progress.tell(Told("m2", "install x"))
    assert shown.after(1) == []
    shown.progress.tell(Told("m1", "install x"))
    assert shown.after(HOLD) == ["    [m1 m2] install x"]


def test_a_phase_has_its_seconds_and_comes_after_its_sentences(shown: Shown) -> None:
    shown.after(2)
    shown.progress.tell(Told("m1", "start etcd.service"))
    shown.progress.phase("etcd is started")
    shown.seconds += 1
    shown.progress.phase("etcd is healthy")
    assert shown.lines == [
        "    [m1] start etcd.service",
        "--- 2.0 s  etcd is started (2.0 s)",
        "--- 3.0 s  etcd is healthy (1.0 s)",
    ]


def test_what_lasts_is_told_with_its_machines_and_seconds_and_again_now_and_then(shown: Shown) -> None:
    shown.progress.works("m1", "waits until etcd01 is healthy")
    shown.progress.works("m2", "waits until etcd01 is healthy")
    assert shown.after(4) == []
    assert shown.after(16) == [
        "    [m1 m2] waits until etcd01 is healthy: 5 s so far",
        "    [m1 m2] waits until etcd01 is healthy: 20 s so far",
    ]
    shown.progress.is_done("m1")
    assert shown.after(AGAIN) == ["    [m2] waits until etcd01 is healthy: 35 s so far"]
    shown.progress.is_done("m2")
    assert shown.after(2 * AGAIN) == []


def test_the_next_operation_is_told_of_as_soon_as_it_lasts(shown: Shown) -> None:
    shown.progress.works("m1", "is at work: a")
    assert len(shown.after(LONG)) == 1
    shown.progress.reset()
    shown.progress.works("m1", "is at work: b")
    assert shown.after(LONG) == [f"    [m1] is at work: b: {LONG} s so far"]


def test_a_plan_has_no_times_and_no_phase_in_which_nothing_would_change(shown: Shown) -> None:
    shown.progress.plan(
        [
            (None, [Told("m1", "fetch x")]),
            ("releases are at hand", []),
            (None, []),
            ("hosts are ready", []),
            (None, [Told("m2", "start y")]),
        ]
    )
    assert shown.lines == ["    [m1] fetch x", "--- releases are at hand", "    [m2] start y"]
