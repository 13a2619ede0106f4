"""The release that runs, as a machine tells it: another minor is refused, a patch is an ordinary run."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from cluster_samples import SEEN, cluster, guide
from local_machine import answer, program
from survey_samples import machine

from kubeinfra.__main__ import main
from kubeinfra.checks.base import Seen
from kubeinfra.checks.catalogue import findings
from kubeinfra.checks.releases import end_of_life, running_release
from kubeinfra.facts.machine import MachineFacts
from kubeinfra.findings import Finding
from kubeinfra.machine.survey import Survey, survey
from kubeinfra.releases.catalogue import NEWEST, PROOFS, Proof, release
from kubeinfra.releases.versions import minor_of
from kubeinfra.reports.releases import NOT_PROVED, rows, told


def found(wanted: str, *releases: str, name: str = "m1") -> list[Finding]:
    """Of a machine that tells these lines."""
    one = guide(kubernetes_version=wanted)
    state = replace(SEEN, survey=survey(f"survey release {line}" for line in releases))
    return list(running_release(one, one.machine(name), state))


API = "kube-apiserver Kubernetes v1.20.15"


@pytest.mark.parametrize("wanted", ["1.21.14", "1.22.0", "1.37.2"])
def test_another_minor_than_the_one_that_runs_is_refused(wanted: str) -> None:
    (told,) = found(wanted, API)
    assert told.level == "error"
    assert told.sentence() == (
        f"m1: kube-apiserver 1.20.15 runs on it, and kubernetes_version is {wanted}, of another minor; set "
        'kubernetes_version = "1.20.15", or another release of 1.20: an upgrade goes one minor at a time, and '
        "deploy.py makes none"
    )


def test_an_older_minor_is_refused_as_well_and_so_is_that_of_a_kubelet() -> None:
    (told,) = found("1.36.3", "kubelet Kubernetes v1.37.2", name="n1")
    assert (told.level, told.found) == ("error", "kubelet 1.37.2 runs on it")


def test_of_a_release_that_nobody_here_knows_no_setting_is_proposed() -> None:
    (told,) = found("1.37.2", "kube-apiserver Kubernetes v1.38.1")
    assert told.remedy.startswith("use a checkout of kubeinfra that knows the release that runs: ")


def test_a_newer_patch_and_the_same_one_are_ordinary_runs() -> None:
    assert found("1.20.15", API) == found("1.20.15", "kube-apiserver Kubernetes v1.20.9") == []


def test_an_older_patch_is_noted_by_its_number_and_not_as_text() -> None:
    (told,) = found("1.20.9", API)
    assert told.level == "note"
    assert told.sentence() == (
        "m1: kube-apiserver 1.20.15 runs on it, and goes back to 1.20.9, an older patch; set kubernetes_version = "
        '"1.20.15" if that is not meant'
    )


def test_a_machine_that_is_neither_master_nor_node_any_more_has_no_say() -> None:
    assert found("1.37.2", API, "kubelet Kubernetes v1.20.15", name="lb1") == []
    assert [one.found for one in found("1.37.2", API, "kubelet Kubernetes v1.20.15", name="n1")] == [
        "kubelet 1.20.15 runs on it"
    ]


def test_preflight_refuses_it_before_anything_is_changed() -> None:
    one = cluster(kubernetes_version="1.21.0")
    told = findings(Seen(one, {"m1": machine("m1", [f"release {API}"], ())}))
    assert [(finding.check, finding.level) for finding in told] == [("running-release", "error")]


def ask(tmp_path: Path, process: str | None, file: str | None, unit: bool = True) -> Survey:
    """The survey of a machine with a kubelet; process, file: what each prints for --version, None without it."""
    for name, said in (("exe", process), ("kubelet", file)):
        if said is not None:
            program(tmp_path, name, f'[ "$1" = --version ] && echo "{said}"')
    tmp_path.mkdir(exist_ok=True)
    if unit:
        (tmp_path / "kubelet.service").write_text("")
    instead = {
        "/etc/systemd/system": str(tmp_path),
        '"/proc/${pid:-0}/exe"': f'"{tmp_path}/exe"',
        '"/opt/kubernetes/bin/$name"': f'"{tmp_path}/$name"',
    }
    told: Survey = answer(MachineFacts(), programs=tmp_path, instead=instead).survey
    return told


OLD, NEW = "Kubernetes v1.20.14", "Kubernetes v1.20.15"


@pytest.mark.parametrize(
    ("process", "file", "unit", "told"),
    [
        (OLD, NEW, True, {"kubelet": "1.20.14"}),
        (None, NEW, True, {"kubelet": "1.20.15"}),
        ("Kubernetes v1.20.14+mine", None, True, {"kubelet": "1.20.14"}),
        (None, None, True, {}),
        (None, "another program", True, {}),
        (None, NEW, False, {}),
    ],
    ids=["the process is older", "nothing runs", "a build of one's own", "no file", "no release", "no unit of ours"],
)
def test_a_machine_tells_what_runs_and_else_what_would_be_started(
    tmp_path: Path, process: str | None, file: str | None, unit: bool, told: dict[str, str]
) -> None:
    assert ask(tmp_path / "there", process, file, unit).releases == told


LAST = release("1.36.3").end_of_life


@pytest.mark.parametrize(("today", "notes"), [(LAST, 0), (LAST + timedelta(1), 1), (None, 0)])
def test_the_end_of_upstreams_support_is_one_note_for_the_cluster(today: date | None, notes: int) -> None:
    told = list(end_of_life(Seen(guide(kubernetes_version="1.36.3"), {"m1": SEEN, "n1": SEEN}, today=today)))
    assert [(one.level, one.machine) for one in told] == [("note", "")] * notes
    assert all(one.found == f"upstream's support of Kubernetes 1.36 ended on {LAST}" for one in told)


def test_it_can_be_silenced() -> None:
    seen = Seen(cluster(), {}, today=date(2026, 11, 26))
    assert [one.check for one in findings(seen)] == ["end-of-life"]
    assert findings(seen, ignored=["end-of-life"]) == []


def test_each_minor_has_a_row_that_says_what_is_proved_of_it() -> None:
    by_minor = {row.minor: row for row in rows()}
    assert list(by_minor) == list(NEWEST)
    first = by_minor["1.20"]
    assert (first.runtime, first.etcd, first.tag("coredns")) == (
        "Docker below 29",
        "3.4.26 (3.4 to below 3.6)",
        "1.10.1",
    )
    assert first.proved == "1.20.15"
    proved = {proof.release for proof in PROOFS}
    assert all(
        (row.proved == NOT_PROVED) is (not {one for one in proved if one.startswith(f"{row.minor}.")}) for row in rows()
    )


def test_a_proof_is_told_with_its_figures_where_they_were_recorded() -> None:
    proof = Proof("1.30.14", date(2026, 11, 27), "in containers")
    assert told(proof) == "1.30.14 on 2026-11-27: in containers"
    measured = replace(proof, machines=2, first_deploy=95, second_run=20)
    assert told(measured) == "1.30.14 on 2026-11-27: in containers: 2 machines in 95 s, second run 20 s"


def test_releases_prints_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["releases"]) == 0
    printed = capsys.readouterr().out
    assert all(newest in printed for newest in NEWEST.values())
    said = " ".join(printed.split())
    assert all(told(proof) in said for proof in PROOFS)


def test_a_minor_that_nobody_has_deployed_yet_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    others = tuple(proof for proof in PROOFS if minor_of(proof.release) != "1.29")
    monkeypatch.setattr("kubeinfra.reports.releases.PROOFS", others)
    assert main(["releases"]) == 0
    (row,) = (line for line in capsys.readouterr().out.splitlines() if line.split()[:1] == ["1.29"])
    assert row.rstrip().endswith(NOT_PROVED)


def test_the_file_that_ships_names_the_guides_release_and_the_newest() -> None:
    text = (Path(__file__).parents[2] / "group_data/all.py").read_text(encoding="utf-8")
    newest = list(NEWEST.values())[-1]
    assert 'kubernetes_version = "1.20.15"' in text
    assert f"The newest that is known here is {newest};" in text
