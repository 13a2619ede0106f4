"""Every run that may change something leaves a record, however it ends; a plan leaves none."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from simulated import PYINFRA, Machine, Project, Ran, guide

from kubeinfra.controller.records import RunRecord
from kubeinfra.controller.run_records import RunRecords


def records(project: Project) -> list[RunRecord]:
    """The newest first."""
    return list(RunRecords(project.directory / ".kubeinfra/kubernetes", warn=pytest.fail).newest_first())


def only(project: Project) -> RunRecord:
    (found,) = records(project)
    return found


def test_a_whole_run_tells_what_it_did(guide_run: tuple[Project, Ran]) -> None:
    project, ran = guide_run
    record = only(project)
    assert (record.result, record.message, record.cluster) == ("succeeded", "", "kubernetes")
    assert {machine.name: machine.arch for machine in record.machines} == {
        f"@fake/{machine.name}": "amd64" for machine in guide()
    }
    written = [one.name.removeprefix("--- ") for one in ran.operations if one.name.startswith("--- ")]
    assert [phase.name for phase in record.phases] == [*written, "verify"]
    assert all(phase.ended and phase.began <= phase.ended for phase in record.phases)
    (started,) = [phase for phase in record.phases if phase.name == "etcd is started"]
    assert {f"@fake/{one.name}" for one in guide() if "etcd" in one.groups.split()} <= set(started.machines)
    sentences = {(one.machine, one.sentence) for one in record.changes}
    assert {("@fake/node01", "write /etc/hosts"), ("@fake/master01", "start etcd.service")} <= sentences
    assert ("@fake/master01", "etcd.service", "start") in {(one.machine, one.unit, one.verb) for one in record.restarts}
    assert "the kernel has no sysctl net.bridge.bridge-nf-call-iptables (wanted 1)" in {
        one.found for one in record.findings
    }
    names = {(one.machine, one.path) for one in record.certificates}
    assert {("", "CA etcd"), ("@fake/master01", "/opt/etcd/ssl/server.pem")} <= names
    assert ran.err.splitlines()[-1].endswith(f"0 restarts; .kubeinfra/kubernetes/runs/{record.name}.json")


def test_a_record_is_its_owners_only(guide_run: tuple[Project, Ran]) -> None:
    directory = guide_run[0].directory / ".kubeinfra/kubernetes/runs"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (directory, *directory.iterdir())] == [0o700, 0o600]


def test_a_plan_leaves_none(project: Project) -> None:
    assert project.plan(guide(), file="tasks/host.py").code == 0
    assert not (project.directory / ".kubeinfra").exists()


def test_a_restart_is_kept_with_its_reasons(project: Project) -> None:
    """chrony was started from another configuration."""
    path, was = "/etc/chrony/chrony.conf", "0" * 64
    state = ["ActiveState=active", "UnitFileState=enabled", "NeedDaemonReload=no", f"recorded={was} {path}"]
    stale = {"one chrony.service": ["unit=chrony.service", *state, f"stale={path}"]}
    machines = [replace(one, answers=stale) if one.name == "lb01" else one for one in guide()]
    ran = project.pyinfra(machines, "-y", file="tasks/host.py")
    assert ran.code == 0, ran.err
    (restart,) = [one for one in only(project).restarts if one.verb != "start"]
    assert (restart.machine, restart.unit, restart.verb) == ("@fake/lb01", "chrony.service", "restart")
    assert restart.reasons == (f"{path} has changed since it started",)
    assert f"    [@fake/lb01] restart chrony.service: {restart.reasons[0]}" in ran.err.splitlines()
    assert "6 of 6 machines changed, 1 restart; " in ran.err


def test_a_run_that_fails_says_where_and_why(project: Project) -> None:
    failing = {"apt-get -q -y": {"success": False, "stderr": ["E: Unable to locate package chrony"]}}
    machines = [replace(one, answers=failing) if one.name == "node01" else one for one in guide()]
    assert project.pyinfra(machines, "-y", file="tasks/host.py").code == 1
    record = only(project)
    assert record.result == "failed"
    assert "[@fake/node01]   E: Unable to locate package chrony" in record.message.splitlines()
    assert ("host | packages", "@fake/node01", "failed") in {
        (one.name, one.machine, one.outcome) for one in record.operations
    }
    assert record.phases[-1].ended is None, "it was cut off"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_run_that_is_interrupted_leaves_one_too(project: Project, number: int) -> None:
    record, code = interrupted(project, guide(), number)
    assert (record.result, code) == ("interrupted", 128 + number)
    assert record.phases[-1].ended is None


def interrupted(project: Project, machines: list[Machine], number: int) -> tuple[RunRecord, int]:
    """A run that gets a signal as soon as it is at work on machines that take their time."""
    environment = project.environment | {"PYINFRA_FAKE_DELAY": "1"}
    project.write(machines)
    run = subprocess.Popen(
        [PYINFRA, "-y", "-v", "inventory.py", "tasks/host.py"],
        cwd=project.directory,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stderr is not None
    for line in run.stderr:
        if "Starting operation: host | packages" in line:
            time.sleep(0.3)  # in the midst of it
            os.kill(run.pid, number)
    run.stderr.close()
    return only(project), run.wait()


def test_arguments_are_kept_without_secrets(project: Project) -> None:
    ran = project.pyinfra(guide(), "-y", "--data", "vrrp_password=hunter2", file="tasks/host.py")
    assert ran.code == 0, ran.err
    text = Path(project.directory / ".kubeinfra/kubernetes/runs" / f"{only(project).name}.json").read_text()
    assert "hunter2" not in text and "vrrp_password=" in text
