"""Cost grows with the number of machines, and not with its square."""

from __future__ import annotations

from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pytest
from simulated import Machine, Project, guide

AT_MOST = 2.2  # times as much for twice as many nodes


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


@pytest.mark.timeout(900)  # on a busy machine it measures twice
def test_a_plan_for_twice_as_many_nodes_takes_about_twice_as_long(tmp_path: Path) -> None:
    """Once more if it seems not so: the machine may have been busier with the second."""
    measured: dict[int, list[float]] = {60: [], 120: []}
    for attempt in (1, 2):
        for nodes, times in measured.items():
            times.append(seconds_of_processor(tmp_path / f"{nodes}-{attempt}", nodes))
        if min(measured[120]) <= AT_MOST * min(measured[60]):
            return
    raise AssertionError(f"seconds of the processor for so many nodes: {measured}")
