"""What is printed is in proportion to what happens: few lines where nothing does, and none for each machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import made_up_artifacts
from simulated import Machine, Project, Ran, guide

AT_MOST = 40  # lines of a second run


def nodes(count: int) -> list[Machine]:
    """The guide's machines, and more nodes."""
    more = [Machine(f"more{number:03}", f"192.168.81.{number}", "node") for number in range(1, count + 1)]
    return [*guide(), *more]


def lines(ran: Ran) -> list[str]:
    assert ran.code == 0, ran.err
    return (ran.err + ran.out).splitlines()


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Ran]:
    """Of few and of more machines."""
    few, many = (Project(tmp_path_factory.mktemp("plans")).pyinfra(nodes(count), "--dry") for count in (10, 30))
    return few, many


def test_a_plan_grows_with_what_differs_between_machines_not_with_their_number(plans: tuple[Ran, Ran]) -> None:
    few, many = ([line for line in lines(plan) if not line.endswith(" s so far")] for plan in plans)
    assert any("[@fake/master01 @fake/master02 ... 34 more] write /etc/hosts" in line for line in many)
    assert len(few) == len(many)


def test_what_is_each_machines_own_is_folded_too(plans: tuple[Ran, Ran]) -> None:
    assert "        +<name>" in lines(plans[0]), "/etc/hostname"
    assert not any("more007" in line for line in lines(plans[1]))


def test_a_plan_ends_with_how_many_would_change(plans: tuple[Ran, Ran]) -> None:
    assert lines(plans[0])[-1] == "a plan, nothing was changed: 16 of 16 machines would change"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A whole run, as the user sees it."""
    directory = tmp_path_factory.mktemp("seen")
    return Project(directory).pyinfra(guide(), "-y", **made_up_artifacts(directory))


def test_no_line_says_that_nothing_happened(run: Ran) -> None:
    for word in (
        "Skipped",
        "No changes",
        "Success",
        "noop",
        "Starting operation",
        "Grand total",
        "Connected",
        "Ready:",
    ):
        assert not [line for line in lines(run) if word in line], word


def test_a_second_run_fits_on_a_screen(run: Ran) -> None:
    """These machines are as bare as before; what is left when the sentences of changes are taken away is its lines."""
    quiet = [line for line in lines(run) if not line.startswith("    ")]
    assert len(quiet) <= AT_MOST, "\n".join(quiet)


def test_phases_have_their_seconds(run: Ran) -> None:
    found = re.findall(r"^--- +[\d.]+ s  (.+) \([\d.]+ s\)$", run.err, flags=re.MULTILINE)
    assert found[:2] == ["releases are at hand", "operating systems are ready"]
    assert len(found) == len(set(found))


def test_a_log_has_no_colours_and_goes_back_over_no_line(run: Ran) -> None:
    assert "\033" not in run.err and "\r" not in run.err


def test_a_failure_is_told_whole_with_its_operation(tmp_path: Path) -> None:
    broken = ["E: Unable to locate package chrony", "E: run apt-get update"]
    assert told(tmp_path, broken)[:3] == ["--> host | packages", *(f"[@fake/node01] {line}" for line in broken)]


def told(directory: Path, stderr: Sequence[str]) -> list[str]:
    """From the failed operation on, where installing packages on node01 fails with this."""
    failing = {"apt-get -q -y": {"success": False, "stderr": list(stderr)}}
    machines = [replace(one, answers=failing) if one.name == "node01" else one for one in guide()]
    ran = Project(directory).pyinfra(machines, "-y", file="tasks/host.py")
    assert ran.code == 1
    found = [re.sub(r"\] +", "] ", line.strip()) for line in ran.err.splitlines()]
    return found[found.index("--> host | packages") :]
