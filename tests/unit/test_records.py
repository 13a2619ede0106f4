"""Records of runs: what they hold, what they never hold, and what becomes of files that cannot be read."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import ValidationError

from kubeinfra.controller.arguments import MASK, masked
from kubeinfra.controller.records import Phase, RunMachine, RunRecord
from kubeinfra.controller.run_records import KEPT, RunRecords
from kubeinfra.errors import KubeinfraError
from kubeinfra.findings import EXPLAINED, Finding

NOON = datetime(2026, 11, 25, 12, 0, 0, 250_999, tzinfo=UTC)


def record(started: datetime = NOON, **fields: object) -> RunRecord:
    return RunRecord.model_validate(
        {"cluster": "demo", "started": started, "by": "you@here", "result": "succeeded", **fields}
    )


# Findings


@pytest.mark.parametrize(
    ("finding", "sentence"),
    [
        (Finding("root", "m1", "error", "so", "not as wanted", "do that"), "m1: so, not as wanted; do that"),
        (Finding("root", "m1", "error", "so", remedy="do that"), "m1: so; do that"),
        (Finding("root", "m1", "error", "so", "this needs", "do", EXPLAINED), "m1: so; this needs: do"),
        (Finding("root", "", "note", "it is so"), "it is so"),
    ],
)  # fmt: skip
def test_a_finding_reads_as_a_sentence(finding: Finding, sentence: str) -> None:
    assert finding.sentence() == sentence


# What a record is on the disk


def test_a_record_is_read_as_it_was_written() -> None:
    whole = record(
        machines=[RunMachine(name="m1", address="192.168.80.10", hostname="m1", groups=("master", "etcd"))],
        phases=[Phase(name="etcd", began=NOON, ended=NOON + timedelta(seconds=3))],
        findings=[Finding("root", "m1", "error", "it is so", "it should be else", "do that", EXPLAINED)],
    )
    assert RunRecord.model_validate_json(whole.text()) == whole


def test_times_are_utc_to_the_millisecond_wherever_the_controller_is() -> None:
    there = record(NOON.astimezone(timezone(timedelta(hours=8))))
    assert json.loads(there.text())["started"] == "2026-11-25T12:00:00.250Z"
    assert there.name == "2026-11-25T12-00-00.250Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        record(datetime(2026, 11, 25, 12))


def test_the_schema_stands_in_the_file() -> None:
    assert json.loads(record().text())["schema"] == 1


# Arguments


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("-y --limit node inventory.py deploy.py", "-y --limit node inventory.py deploy.py"),
        ("--ssh-user root --ssh-key .lab/id_ed25519", "--ssh-user root --ssh-key .lab/id_ed25519"),
        ("--ssh-password hunter2 -y", f"--ssh-password {MASK} -y"),
        ("--ssh-key-password=hunter2 -y", f"--ssh-key-password={MASK} -y"),
        ("--use-sudo-password inventory.py", "--use-sudo-password inventory.py"),
        ("--ssh-password", "--ssh-password"),
        ("--data vrrp_password=hunter2", f"--data vrrp_password={MASK}"),
        ("--data=vrrp_password=hunter2", f"--data=vrrp_password={MASK}"),
        ("--data colour=blue=green", "--data colour=blue=green"),
        ('--data docker_extra_config={"auth-token":"hunter2"}', f"--data docker_extra_config={MASK}"),
        ("--data _sudo_password=hunter2", f"--data _sudo_password={MASK}"),
        ("--data artifact_mirror=https://me:hunter2@m/", f"--data artifact_mirror=https://{MASK}@m/"),
        ("--data x=-----BEGIN", f"--data x={MASK}"),
        ("--data", "--data"),
    ],
)  # fmt: skip
def test_arguments_are_kept_without_secrets(given: str, kept: str) -> None:
    assert masked(given.split(" ")) == tuple(kept.split(" "))


# Records on the disk


class Kept:
    """A cluster's records in a directory of a test, and what was warned of."""

    def __init__(self, directory: Path) -> None:
        self.warnings: list[str] = []
        self.records = RunRecords(directory / ".kubeinfra/demo", self.warnings.append)

    def spoil(self, name: str, text: str) -> Path:
        path = self.records.directory / f"{name}.json"
        path.write_text(text)
        return path


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_without_a_run_there_is_no_record_and_nothing_is_made(kept: Kept, tmp_path: Path) -> None:
    assert kept.records.newest() is None
    assert list(tmp_path.iterdir()) == []


def test_only_the_user_can_read_them(kept: Kept, tmp_path: Path) -> None:
    path = kept.records.write(record())
    assert path == tmp_path / ".kubeinfra/demo/runs/2026-11-25T12-00-00.250Z.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    directories = (path.parent, path.parent.parent, path.parent.parent.parent)
    assert {stat.S_IMODE(directory.stat().st_mode) for directory in directories} == {0o700}


def test_the_newest_is_read_and_each_by_its_name(kept: Kept) -> None:
    runs = [record(NOON + timedelta(hours=hours), message=str(hours)) for hours in (1, 3, 2)]
    for run in runs:
        kept.records.write(run)
    assert kept.records.newest() == runs[1]
    assert [run.message for run in kept.records.newest_first()] == ["3", "2", "1"]
    assert kept.records.named("2026-11-25T13-00-00.250Z") == runs[0]
    assert kept.records.named("2026-11-25T14") == runs[2]
    assert kept.records.named("2026-11-25T14-00-00.250Z.json") == runs[2]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("2025", "no record of a run is called '2025'; the newest there: 2026-11-25T14-00-00.250Z, "),
        ("2026", "2 records begin with '2026'; the newest there: 2026-11-25T14-00-00.250Z, "),
    ],
)
def test_a_name_that_is_not_one_run_is_told(kept: Kept, name: str, told: str) -> None:
    for hours in (1, 2):
        kept.records.write(record(NOON + timedelta(hours=hours)))
    with pytest.raises(KubeinfraError, match="record") as raised:
        kept.records.named(name)
    assert f": {told}" in str(raised.value)


def test_a_run_replaces_its_own_record(kept: Kept) -> None:
    kept.records.write(record(result="interrupted"))
    kept.records.write(record())
    assert [run.result for run in kept.records.newest_first()] == ["succeeded"]


def test_the_oldest_go(kept: Kept) -> None:
    for minute in range(KEPT + 2):
        kept.records.write(record(NOON + timedelta(minutes=minute)))
    names = kept.records.names()
    assert len(names) == KEPT
    assert names[-1] == "2026-11-25T12-02-00.250Z"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not a record of a run (Expecting value"),
        ("{", "is not a record of a run (Expecting"),
        ("[]", "is not a record of a run ("),
        ('{"schema": "new"}', "is not a record of a run ("),
        ('{"schema": 1}', "is not a record of a run (cluster: Field required)"),
        ('{"schema": 2, "cluster": "demo"}', "has schema 2, this kubeinfra reads up to 1: "),
    ],
)
def test_what_cannot_be_read_is_passed_over_with_a_warning(kept: Kept, text: str, told: str) -> None:
    kept.records.write(record())
    path = kept.spoil("2026-11-26T00-00-00.000Z", text)
    assert kept.records.newest() == record()
    (warning,) = kept.warnings
    assert warning.startswith(f"{path}: {told}")
    with pytest.raises(KubeinfraError) as raised:
        kept.records.named("2026-11-26")
    assert str(raised.value).startswith(f"{path}: {told}")


def test_other_files_are_no_records(kept: Kept) -> None:
    kept.records.write(record())
    kept.spoil("notes", "mine")
    assert kept.records.newest() == record()
    assert kept.warnings == []


# Kept by an earlier kubeinfra: fields may be added to schema 1 with a default; nothing else may become of it.
SCHEMA_1 = Path(__file__).with_name("run-record-1.json")


def test_a_record_of_schema_1_is_read_for_ever() -> None:
    text = SCHEMA_1.read_text()
    kept = json.loads(RunRecord.model_validate_json(text).text())
    assert {key: kept[key] for key in json.loads(text)} == json.loads(text)
