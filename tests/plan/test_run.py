"""A whole run on simulated machines: what it keeps, what it never shows, and what it costs."""

from __future__ import annotations

import stat
from base64 import b64encode

import pytest
from simulated import Project, Ran, guide

# Commands for each component and machine of an unchanged cluster; Docker has its packages' repository as well.
AT_MOST = {"docker": 5}
OTHERS = 4


@pytest.fixture(scope="module")
def kept(guide_run: tuple[Project, Ran]) -> dict[str, str]:
    """The controller's files of the cluster -> their text."""
    project, _ = guide_run
    directory = project.directory / ".kubeinfra/kubernetes"
    files = (path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    return {str(path): (directory / path).read_text() for path in files if path.parts[0] != "runs"}


def test_the_controller_keeps_what_cannot_be_read_back(kept: dict[str, str]) -> None:
    assert set(kept) == {
        *(f"ca/{name}/{file}" for name in ("etcd", "kubernetes", "front-proxy") for file in ("ca.pem", "ca-key.pem")),
        *(f"secrets/{name}" for name in ("bootstrap-token", "service-account-key", "vrrp-password")),
        "admin.kubeconfig",
        "cluster.json",
    }


def test_nobody_else_can_read_it(guide_run: tuple[Project, Ran]) -> None:
    project, _ = guide_run
    for path in [project.directory / ".kubeinfra", *(project.directory / ".kubeinfra").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600) or path.name == "ca.pem", path


def test_no_secret_is_shown_even_when_everything_is(guide_run: tuple[Project, Ran], kept: dict[str, str]) -> None:
    """Not the shared ones, not the CAs' keys, and no key that was made for a machine."""
    project, ran = guide_run
    (record,) = (project.directory / ".kubeinfra/kubernetes/runs").iterdir()
    shown = ran.out + ran.err + record.read_text()
    assert "[fake] simulating command" in shown, "everything is shown"
    assert "PRIVATE KEY-----" not in shown
    for name in ("bootstrap-token", "vrrp-password"):
        assert kept[f"secrets/{name}"].strip() not in shown
    token_csv = f'{kept["secrets/bootstrap-token"]},kubelet-bootstrap,10001,"system:kubelet-bootstrap"\n'
    assert b64encode(token_csv.encode()).decode()[:40] not in shown
    keys = [text for name, text in kept.items() if name.endswith(("ca-key.pem", "service-account-key"))]
    assert len(keys) == 4
    for key in keys:
        assert not [line for line in key.splitlines()[1:-1] if line in shown]
        assert b64encode(key.encode()).decode()[:60] not in shown


def test_a_second_plan_creates_no_second_ca(guide_run: tuple[Project, Ran]) -> None:
    project, _ = guide_run
    before = project.files()
    ran = project.plan(guide(), "--limit", "etcd", file="tasks/etcd.py")
    assert not [one for one in ran.said() if one.startswith(("create CA", "create secret"))]
    after = project.files()
    assert {path for path in before if before[path] != after.get(path)} == set()
    assert set(after) == set(before)


def test_a_machine_that_trusts_our_ca_is_welcome(guide_run: tuple[Project, Ran], kept: dict[str, str]) -> None:
    project, _ = guide_run
    machines = [machine.trusting("etcd", kept["ca/etcd/ca.pem"]) for machine in guide()]
    assert project.plan(machines, file="tasks/host.py").code == 0


def test_an_unchanged_cluster_costs_few_commands(guide_run: tuple[Project, Ran]) -> None:
    """Each operation asks first, in one command; where all is as wanted it runs no other."""
    _, ran = guide_run
    assert len(ran.questions) > 10, "they are counted at all"
    costly = {
        f"{component} on {host}": count
        for component, asked in ran.questions.items()
        for host, count in asked.items()
        if count > AT_MOST.get(component, OTHERS)
    }
    assert costly == {}


def test_binaries_get_their_final_name_by_rename_after_they_were_checked(guide_run: tuple[Project, Ran]) -> None:
    _, ran = guide_run
    uploads = [line for line in ran.err.splitlines() if "simulating put_file on @fake/master02" in line]
    assert len(uploads) == 4
    assert all("/opt/kubernetes/bin/.kube" in line and line.endswith(".gz") for line in uploads)
    assert "what has arrived is damaged" in ran.err
