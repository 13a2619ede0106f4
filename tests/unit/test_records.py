"""Records of runs: what they hold, what they never hold, and what becomes of files that cannot be read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from kubeinfra.controller.arguments import MASK, masked
from kubeinfra.controller.records import Phase, RunMachine, RunRecord
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
