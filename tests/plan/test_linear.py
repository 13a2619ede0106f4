"""Cost grows with the number of machines, and not with its square."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pytest
from simulated import Machine, Project, guide

AT_MOST = 1.1  # times as much for as many nodes in one plan as in two


def with_nodes(number: int) -> list[Machine]:
    return [*guide(), *(Machine(f"n{one:03}", f"192.168.81.{one}", "node") for one in range(1, number + 1))]


def seconds_of_processor(directory: Path, nodes: int) -> float:
    """Of a plan; what others do on this machine meanwhile lengthens it by far less than what a clock would say."""
    project = Project(directory)
    project.timeout = 600
    before = getrusage(RUSAGE_CHILDREN)
    assert project.pyinfra(with_nodes(nodes), "--dry").code == 0
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def of_two_plans(directory: Path) -> float:
    return seconds_of_processor(directory / "one", 60) + seconds_of_processor(directory / "other", 60)


def of_one_plan(directory: Path) -> float:
    return seconds_of_processor(directory / "both", 120)


def ratio(directory: Path) -> float:
    """Side by side with two plans of half as many: what else the machine does lengthens both alike, in the mean."""
    with ProcessPoolExecutor(2) as pool:
        one, two = pool.submit(of_one_plan, directory), pool.submit(of_two_plans, directory)
    return one.result() / two.result()


@pytest.mark.timeout(900)
def test_a_plan_for_twice_as_many_nodes_takes_about_twice_as_long(tmp_path: Path) -> None:
    """One measurement in a busy moment may be wrong by a third; a plan that grows faster is too slow in each."""
    measured: list[float] = []
    while len(measured) < 3 and (not measured or measured[-1] > AT_MOST):
        measured.append(ratio(tmp_path / f"{len(measured)}"))
    assert measured[-1] <= AT_MOST, f"seconds of the processor, for 120 nodes and for twice 60: {measured}"
