"""A bootstrap token that ends: made by a run for the nodes that join in it, kept nowhere, shown to nobody."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_up import made_up_artifacts
from simulated import Machine, Project, Ran, Sent, guide

KUBECONFIG, TOKEN_CSV = "/opt/kubernetes/cfg/bootstrap.kubeconfig", "/opt/kubernetes/cfg/token.csv"
NODES = [machine.name for machine in guide() if "node" in machine.groups.split()]
ENDS: dict[str, Any] = {"bootstrap_tokens": "secret"}


def joined(machine: Machine, days: int = 300) -> Machine:
    """A node with its certificate."""
    return machine.joined(days) if machine.name in NODES else machine


def tokens(sent: Iterable[Sent]) -> list[dict[str, str]]:
    """Those that a master creates."""
    created = [one for one in sent if one.operation.endswith("bootstrap.admit")]
    return [yaml.safe_load("\n".join(one.stdin))["stringData"] for one in created]


def kubeconfigs(sent: Iterable[Sent]) -> list[str]:
    """The tokens that nodes get."""
    lines = [line for one in sent if one.operation for line in one.stdin if f" {KUBECONFIG} " in line]
    texts = [b64decode(line.split()[3]).decode() for line in lines]
    return [yaml.safe_load(text)["users"][0]["user"]["token"] for text in texts]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    """A first run."""
    directory = tmp_path_factory.mktemp("token")
    project = Project(directory)
    return project, project.pyinfra(guide(), "-y", "--json", "--debug", "-vvv", **ENDS, **made_up_artifacts(directory))


def test_a_first_run_lets_its_nodes_in_with_one_token(first: tuple[Project, Ran]) -> None:
    project, ran = first
    assert ran.code == 0, ran.err[-3000:]
    (made,) = tokens(project.sent)
    token = f"{made['token-id']}.{made['token-secret']}"
    assert made["description"] == f"for {', '.join(f'@fake/{name}' for name in NODES)}"
    assert kubeconfigs(project.sent) == [token] * len(NODES)
    assert ran.names.index("node | nodes that join") < ran.names.index("node | files")
    assert ran.hosts("node | nodes that join") == ("master01",)


def test_its_token_is_shown_to_nobody_and_kept_nowhere(first: tuple[Project, Ran]) -> None:
    project, ran = first
    (made,) = tokens(project.sent)
    kept = [path for path in (project.directory / ".kubeinfra").rglob("*") if path.is_file()]
    assert not [path for path in kept if made["token-secret"] in path.read_text() or path.name == "bootstrap-token"]
    assert made["token-secret"] not in ran.out + ran.err
    assert not [one for one in project.sent if made["token-secret"] in one.command]
    assert not [one for one in project.sent for line in one.stdin if f" {TOKEN_CSV} " in line]


def test_a_run_on_nodes_that_have_joined_makes_none(project: Project, tmp_path: Path) -> None:
    machines = [joined(machine) for machine in guide()]
    ran = project.pyinfra(machines, "-y", "--json", **ENDS, **made_up_artifacts(tmp_path))
    assert ran.code == 0, ran.err[-3000:]
    assert (tokens(project.sent), kubeconfigs(project.sent)) == ([], [])


@pytest.mark.parametrize("days", [None, -10], ids=["new", "ended"])
def test_a_plan_says_for_whom_a_token_is_made(project: Project, days: int | None) -> None:
    new, other = NODES
    machines = [joined(machine) for machine in guide() if machine.name != new]
    machines += [joined(machine, days) if days else machine for machine in guide() if machine.name == new]
    plan = project.plan(machines, **ENDS)
    assert f"create a bootstrap token for @fake/{new}, which ends after 60 minutes (secret)" in plan.said()
    assert f"write {KUBECONFIG} (secret)" in plan.said(new)
    assert f"write {KUBECONFIG} (secret)" not in plan.said(other)


def test_nodes_that_join_need_a_master_in_the_run(project: Project) -> None:
    ran = project.pyinfra(guide(), "-y", "--limit", "node", **ENDS)
    assert ran.message == [
        f"{', '.join(NODES)}: no certificate yet, and no master takes part in this run, on which to make a bootstrap "
        "token for it; run again with --limit node --limit master"
    ]


def test_a_kubelet_with_a_token_that_has_ended_starts_anew_before_its_certificate_is_waited_for(
    project: Project, tmp_path: Path
) -> None:
    """It reads its token when it starts, and would ask with the old one for ever."""
    states = ["ActiveState=active", "UnitFileState=enabled", "NeedDaemonReload=no"]
    lines = ["unit=kubelet.service", *states, f"recorded={'0' * 64} {KUBECONFIG}", f"stale={KUBECONFIG}"]
    machines = [
        replace(machine, answers={"/run/kubeinfra/$1.inputs": lines}) if machine.name in NODES else machine
        for machine in guide()
    ]
    ran = project.pyinfra(machines, "-y", "--json", **ENDS, **made_up_artifacts(tmp_path))
    assert ran.code == 0, ran.err[-3000:]
    words = {"systemctl restart kubelet.service": "restart", "until the kubelet": "wait"}
    gate = [one.command for one in project.sent if one.operation.endswith("units.converge")]
    order = [said for command in gate for text, said in words.items() if text in command]
    assert order[0] == "restart" and "wait" in order
