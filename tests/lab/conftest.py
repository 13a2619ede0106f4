"""
The real thing: machines of the lab, the command line that the README gives, and questions asked from outside.

Files run in the order of their numbers, so that a deploy is shared by many tests: 1 needs machines on which nothing
is set up, 2-7 share one cluster (who breaks it repairs it), 8 and 9 create the machines again for each of
their clusters, of which there are as few as can show everything (`stacked` is two files', the last of all with
containers); test_virtual_machine has a lab of its own.
A lab's machines are there once only: those that are up are removed at the start, and the tests' own at the end.
The user's `.kubeinfra/` and `.lab/` are neither read nor changed: each controller is a copy of the project in
`.lab/tests/<lab>/<name>/`. The cache of releases and of what was built is shared.

While writing tests: `KEEP_LAB=1` keeps machines and cluster at the end, and goes on with them at the start.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from invocation import Invocation, phase_table, slowness
from laboratory import GUIDES_RELEASE, Lab, keeps_lab
from observe import Processes, assert_finished, processes
from takeover import EARLIER, STACKED, Upgrade, has_history, take_over

FIGURES = pytest.StashKey[list[str]]()
DEPLOYS = pytest.StashKey[dict[str, Invocation]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []
    config.stash[DEPLOYS] = {}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[FIGURES]:
        terminalreporter.section("measured")
        for line in config.stash[FIGURES]:
            terminalreporter.write_line(line)
    if deploys := config.stash[DEPLOYS]:
        terminalreporter.section("first deploys to the guide's machines, seconds after the start")
        for line in phase_table(deploys):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Lines for the end of the test run: what was measured."""
    return request.config.stash[FIGURES]


@pytest.fixture(scope="session")
def first_deploys(request: pytest.FixtureRequest) -> dict[str, Invocation]:
    """Release -> its first deploy to the guide's machines, of those in this test run."""
    return request.config.stash[DEPLOYS]


@pytest.fixture(scope="session")
def bring_up() -> Iterator[Callable[..., Lab]]:
    """Makes a controller of this name that knows of no cluster, and new machines; arguments as for Lab."""
    made: list[Lab] = []

    def bring_up(name: str, **arguments: str) -> Lab:
        made.append(Lab(name, **arguments))
        made[-1].up()
        return made[-1]

    yield bring_up
    if not keeps_lab():
        for last in {lab.lab: lab for lab in made}.values():
            last.down()


@pytest.fixture(scope="session")
def lab(bring_up: Callable[..., Lab]) -> Lab:
    """Machines and their controller; on which nothing is set up, until a test asks for `cluster`."""
    kept = Lab("documented")
    return kept if keeps_lab() and kept.state.exists() else bring_up("documented")


@pytest.fixture(scope="session")
def first_deploy(lab: Lab, figures: list[str], first_deploys: dict[str, Invocation]) -> Invocation:
    """The whole deploy over ssh, as the README has it, on the machines of `lab`."""
    load, before = os.getloadavg()[0], slowness()
    done = lab.deploy()
    figures.append(
        f"deploy over ssh: {done.seconds:.1f} s, peak memory of the controller {done.peak_megabytes:.0f} MB; "
        f"before it: load {load:.1f}, slowness {before:.1f}"
    )
    first_deploys[GUIDES_RELEASE] = done
    return done


@pytest.fixture(scope="session")
def cluster(lab: Lab, first_deploy: Invocation) -> Lab:
    """The cluster that the documented command line has made. Whoever breaks it repairs it."""
    return lab


@pytest.fixture
def before(cluster: Lab) -> Processes:
    """The processes at the start of a test, which needs a healthy cluster."""
    cluster.require_healthy("before the test")
    return processes(cluster)


@pytest.fixture(scope="session")
def upgrade(bring_up: Callable[..., Lab], figures: list[str]) -> Upgrade:
    """A cluster of `stacked` that an earlier commit has made, and this code has taken over."""
    if not has_history():
        pytest.skip(f"no commit {EARLIER} in this checkout, so nothing earlier to make a cluster with")
    return take_over(bring_up("stacked", inventory=STACKED), figures)


@pytest.fixture(scope="session")
def stacked_run(bring_up: Callable[..., Lab], request: pytest.FixtureRequest) -> tuple[Lab, Invocation]:
    """That cluster, and this code's first run on it; where there is no earlier commit, the run that has made it."""
    if has_history():
        upgrade: Upgrade = request.getfixturevalue("upgrade")
        return upgrade.lab, upgrade.run
    lab = bring_up("stacked", inventory=STACKED)
    return lab, lab.deploy("--json")


@pytest.fixture(scope="session")
def stacked(stacked_run: tuple[Lab, Invocation]) -> Lab:
    """A master that is a node, one that is none, and a node."""
    assert_finished(*stacked_run)
    return stacked_run[0]
