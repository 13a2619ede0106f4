"""`python -m kubeinfra report`: finds the record that is meant, makes its page, and says what it cannot do."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from simulated import Project

from kubeinfra.controller.records import RunRecord
from kubeinfra.controller.run_records import RunRecords

NONE = "has no record of a run; each run that may change machines leaves one"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def run_of(cluster: str = "kubernetes", hours: int = 0) -> RunRecord:
    return RunRecord(cluster=cluster, started=NOON + timedelta(hours=hours), by="you@here", result="succeeded")


def keep(project: Project, *runs: RunRecord) -> Path:
    """The directory of the records of these runs, all of one cluster."""
    records = RunRecords(project.directory / ".kubeinfra" / runs[0].cluster, warn=print)
    for run in runs:
        records.write(run)
    return records.directory


def report(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kubeinfra", "report", *arguments],
        cwd=project.directory,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_newest_run_of_the_only_cluster(project: Project) -> None:
    page = keep(project, run_of(), run_of(hours=1)).parent / "report.html"
    ran = report(project)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == f"{page}: run 2026-11-25T13-00-00.000Z, succeeded\n"
    assert "<h1>kubernetes" in page.read_text()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_a_named_run_of_the_inventorys_cluster_to_a_file(project: Project, tmp_path: Path) -> None:
    keep(project, run_of("another"))
    keep(project, run_of(), run_of(hours=1))
    ran = report(project, "inventory.py", "--run", "2026-11-25T12", "--output", str(tmp_path / "page.html"))
    assert ran.returncode == 0, ran.stderr
    assert "record 2026-11-25T12-00-00.000Z" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("clusters", "arguments", "told"),
    [
        ([], [], f".kubeinfra: {NONE}"),
        ([], ["inventory.py"], f".kubeinfra/kubernetes/runs: {NONE}"),
        (["a", "b"], [], ".kubeinfra: has runs of 2 clusters (a, b); name the inventory of one"),
        (["a"], ["--run", "x"], ".kubeinfra/a/runs: no record of a run is called 'x'; the newest there: "
         "2026-11-25T12-00-00.000Z"),
        (["a"], ["none.py"], "none.py: no such inventory; name a file such as inventory.py"),
    ],
    ids=["no runs", "no runs of this cluster", "several clusters", "no such run", "no such inventory"],
)  # fmt: skip
def test_what_is_not_there_is_told(project: Project, clusters: list[str], arguments: list[str], told: str) -> None:
    for cluster in clusters:
        keep(project, run_of(cluster))
    before = project.files()
    ran = report(project, *arguments)
    assert ran.returncode == 1
    assert ran.stderr.removeprefix(f"{project.directory}/") == f"{told}\n"
    assert project.files() == before


def test_a_record_that_cannot_be_read_is_passed_over_with_a_warning(project: Project) -> None:
    runs = keep(project, run_of())
    (runs / "2026-11-26T00-00-00.000Z.json").write_text("{")
    ran = report(project)
    assert ran.returncode == 0
    assert ran.stderr.startswith(f"warning: {runs}/2026-11-26T00-00-00.000Z.json: is not a record of a run (")
    assert "run 2026-11-25T12-00-00.000Z" in ran.stdout
