"""Simulated machines for the tests of the command line; needs no network, no Docker and no root."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import made_up_artifacts
from simulated import Project, Ran, guide


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A controller that has never deployed anything."""
    return Project(tmp_path)


@pytest.fixture(scope="session")
def guide_plan(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The plan for the guide's bare machines, made once for all tests that read it."""
    return Project(tmp_path_factory.mktemp("guide")).plan(guide())


@pytest.fixture(scope="session")
def guide_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    """A whole run on the guide's bare machines, with everything shown that pyinfra can show."""
    directory = tmp_path_factory.mktemp("run")
    project = Project(directory)
    return project, project.pyinfra(guide(), "-y", "--json", "--debug", "-vvv", **made_up_artifacts(directory))
