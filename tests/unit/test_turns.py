"""Machines take turns: never more at once than may, in the order of the inventory, and nobody after a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Lock
from time import sleep

import pytest

from kubeinfra.run.turns import Turn, Turns

NAMES = [f"n{number}" for number in range(1, 9)]


class Crowd:
    """Machines in threads of their own, started in any order, at most `parallel` at a time."""

    def __init__(self, width: int, patience: float = 30) -> None:
        self.turns = Turns(NAMES, width, patience)
        self.began: list[str] = []
        self.left: list[str] = []
        self.at_once, self._now, self._lock = 0, 0, Lock()

    def run(self, work: Callable[[str], object], started: list[str], parallel: int = len(NAMES)) -> None:
        with ThreadPoolExecutor(parallel) as pool:
            for done in [pool.submit(self._one, name, work) for name in started]:
                done.result(timeout=60)

    def _one(self, name: str, work: Callable[[str], object]) -> None:
        try:
            with self.turns.visit(name) as turn:
                self._act(turn, work)
        except RuntimeError:
            pass

    def _act(self, turn: Turn, work: Callable[[str], object]) -> None:
        if not turn.take():
            self.left.append(turn.name)
            return
        with self._lock:
            self.began.append(turn.name)
            self._now += 1
            self.at_once = max(self.at_once, self._now)
        try:
            work(turn.name)
        finally:
            with self._lock:
                self._now -= 1


def nothing(name: str) -> None:
    pass


def test_they_go_in_the_order_of_the_inventory_whoever_comes_first() -> None:
    crowd = Crowd(width=1)
    crowd.run(nothing, started=NAMES[::-1])
    assert crowd.began == NAMES
    assert crowd.at_once == 1


@pytest.mark.parametrize("width", [2, 4])
def test_as_many_go_at_once_as_may(width: int) -> None:
    """Each waits in its turn for the rest of its wave: fewer at once would never end, more would be counted."""
    crowd = Crowd(width)
    wave = Barrier(width)
    crowd.run(lambda name: str(wave.wait(timeout=30)), started=NAMES[::-1])
    assert crowd.at_once == width
    assert sorted(crowd.began) == NAMES


@pytest.mark.parametrize("alone", [("n1",), ("n3",), ("n2", "n3"), tuple(NAMES)])
def test_one_that_must_be_alone_is_and_comes_in_its_turn(alone: tuple[str, ...]) -> None:
    turns, acting, seen = Turns(NAMES, width=3), set[str](), dict[str, set[str]]()

    def one(name: str) -> None:
        with turns.visit(name) as turn:
            assert turn.take(alone=name in alone)
            acting.add(name)
            sleep(0.01)  # long enough for others to join it, if they may
            seen[name] = set(acting)
            acting.discard(name)

    with ThreadPoolExecutor(len(NAMES)) as pool:
        list(pool.map(one, NAMES[::-1], timeout=60))
    assert {name: seen[name] for name in alone} == {name: {name} for name in alone}
    assert [name for name in seen if name in alone] == [*alone]


def test_one_that_needs_nothing_keeps_nobody() -> None:
    crowd = Crowd(width=1)
    with crowd.turns.visit("n1"):
        pass
    crowd.run(nothing, started=["n2"])
    assert crowd.began == ["n2"]


def test_after_a_failure_nobody_begins() -> None:
    crowd = Crowd(width=2)
    failed = Event()

    def work(name: str) -> None:
        if name == "n3":
            failed.set()
            raise RuntimeError("it does not come back")
        if name in ("n4", "n5"):
            assert failed.wait(timeout=30), "it had its turn with n3, or before"

    crowd.run(work, started=NAMES)
    assert crowd.turns.failed == "n3"
    assert crowd.began[:3] == ["n1", "n2", "n3"]
    assert set(crowd.began) <= {"n1", "n2", "n3", "n4"}
    assert set(crowd.left) == set(NAMES) - set(crowd.began)


def test_one_that_fails_before_its_turn_ends_the_turns_too() -> None:
    turns = Turns(NAMES, 1)
    with pytest.raises(RuntimeError), turns.visit("n1"):
        raise RuntimeError("it could not even be asked")
    with turns.visit("n2") as turn:
        assert not turn.take()
        assert turn.failed == "n1"


def test_a_generator_that_is_dropped_has_failed() -> None:
    """So pyinfra ends an operation of which a command has failed."""
    turns = Turns(NAMES, 1)

    def commands() -> Iterator[str]:
        with turns.visit("n1") as turn:
            assert turn.take()
            yield "restart"

    running = commands()
    next(running)
    del running
    assert turns.failed == "n1"


def test_one_that_tries_again_gets_a_turn() -> None:
    turns = Turns(NAMES, 1)
    with pytest.raises(RuntimeError), turns.visit("n1") as turn:
        assert turn.take()
        raise RuntimeError("the first time")
    with turns.visit("n1") as turn:
        assert turn.take()


def test_those_that_cannot_come_yet_are_not_waited_for_without_end() -> None:
    """pyinfra works on so many hosts at a time: here on the three last, and on others only when one of them ends."""
    crowd = Crowd(width=1, patience=0.2)
    crowd.run(nothing, started=NAMES[::-1], parallel=3)
    assert crowd.at_once == 1
    assert sorted(crowd.began) == NAMES
    assert crowd.began[0] == "n6", "the first of those that are here"
