"""All shell that the machines of simulated runs get, through `sh -n` and shellcheck; no operation is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from made_up import made_up_artifacts
from simulated import RED_HAT, ROOT, SYSTEM, Machine, Project, Ran, guide

from kubeinfra import operations
from tests.sent import Sent, scripts
from tests.unit.shell_check import findings, inner

# Operations that run on the controller, or that all hosts only meet at.
WITHOUT_SHELL = {
    "controller.admin_kubeconfig",
    "controller.create",
    "controller.require_exclusive_run",
    "gates.barrier",
    "health.ask",
    "health.show",
    "releases.fetch",
}
SNAPSHOT = bytes(range(256)) * 2


@pytest.fixture(scope="module")
def sent(guide_run: tuple[Project, Ran], tmp_path_factory: pytest.TempPathFactory) -> list[Sent]:
    """Of a first deploy, one that restarts everything, one of another distribution, a backup and a restore."""
    bare, _ = guide_run
    directory = tmp_path_factory.mktemp("shell")
    project = Project(directory)
    artifacts = made_up_artifacts(directory)
    more: dict[str, Any] = {
        "node_labels": {"disk": "ssd"},
        "node_taints": ["team=a:NoSchedule"],
        "metrics_server": True,
        "bootstrap_tokens": "secret",
    }
    succeed(project.pyinfra(list(running(units(bare.sent))), "-y", **artifacts, **more))
    again = list(running(units(bare.sent)))
    other: dict[str, Any] = {"kube_proxy_mode": "iptables", "bootstrap_tokens": "static"}
    succeed(project.pyinfra(again, "-y", "--limit", "node", file="tasks/node.py", **other))
    red_hats = [replace(machine, says=RED_HAT) for machine in guide()]
    succeed(project.pyinfra(red_hats, "-y", "--limit", "node", file="tasks/docker.py", docker_repository="https://a/b"))
    succeed(project.pyinfra(guide(), "-y", "--limit", "node", file="tasks/node.py"))
    late = [machine.seen("clock=1000000000") for machine in guide()]
    succeed(project.pyinfra(late, "-y", "--limit", "node", file="tasks/host.py"))
    project.pyinfra(guide(), "-y", file="day2/backup.py")  # which no member can give
    healthy = {"endpoint health": ["yes"], "|| sha256sum <": [sha256().hexdigest()]}
    succeed(project.pyinfra([replace(machine, answers=healthy) for machine in guide()], "-y", file="day2/backup.py"))
    (directory / "snapshot.db").write_bytes(SNAPSHOT + sha256(SNAPSHOT).digest())
    options = ["--data", f"snapshot={directory}/snapshot.db", "--data", "confirm=kubernetes"]
    succeed(project.pyinfra(guide(), "-y", *options, file="day2/restore.py"))
    return [*bare.sent, *project.sent]


def succeed(ran: Ran) -> None:
    assert ran.code == 0, ran.err[-3000:]


def units(commands: Iterable[Sent]) -> set[str]:
    """Units that are asked about (kubeinfra/facts/units.py)."""
    return {unit for one in commands for unit in re.findall(r"\bone (\S+\.service) ", one.command)}


def running(names: Iterable[str]) -> Iterator[Machine]:
    """The guide's machines with all units running, each from something older than what the disk has; one is ill."""
    lines = []
    for name in sorted(names):
        state = ["ActiveState=active", "UnitFileState=enabled", "NeedDaemonReload=no"]
        lines += [f"unit={name}", *state, f"recorded={'0' * 64} /etc/{name}", f"stale=/etc/{name}"]
    lines += [f"healthy=demand-{number}" for number in range(4)]
    node = {"metadata": {"name": "192.168.80.11", "labels": {}}, "spec": {}}
    answers = {
        "/run/kubeinfra/$1.inputs": lines,
        "ask() {": ["etcd\tetcd01\t1\taway"],
        "get nodes -o json ": [json.dumps({"items": [node]})],
        SYSTEM: ["hostname=x", "swap=/dev/sda2", "swap-unit=dev-sda2.swap", "swap-service=zramswap.service"],
    }
    return (replace(machine, answers=answers) for machine in guide())


def test_every_operation_has_sent_its_shell(sent: list[Sent]) -> None:
    """A new operation must be part of one of the runs, or have no shell at all."""
    known = {
        f"{module.name}.{name}"
        for module in iter_modules(operations.__path__)
        for name, value in vars(import_module(f"kubeinfra.operations.{module.name}")).items()
        if hasattr(value, "_inner") and value.__module__ == f"kubeinfra.operations.{module.name}"
    }
    seen = {one.operation.removeprefix("kubeinfra.operations.") for one in sent if one.operation}
    assert known - seen == WITHOUT_SHELL


def test_every_template_that_is_shell_was_rendered(sent: list[Sent]) -> None:
    every = "\n".join(scripts(sent))
    for path in sorted((ROOT / "templates").rglob("*.j2")):
        text = re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)
        if path.name.endswith(".sh.j2") or text.startswith("#!"):
            fixed = [line for line in text.splitlines() if "{" not in line and "'" not in line]
            assert max(fixed, key=len).strip() in every, path


def test_all_shell_is_sound(sent: list[Sent], tmp_path: Path) -> None:
    found = findings(scripts(sent), tmp_path)
    assert not found, "\n".join(found)


# A program that asks over the network (what release it is asks nobody), and what stands before or after it so that it
# never asks a proxy.
ASKS = re.compile(
    r"(?<![\w./-])(?:wget |(?P<before>\S* )?(?:\S*/)?(?:curl (?!--version )(?P<after>-\S+ \S+)|kubectl --kubeconfig ))"
)


def through_a_proxy(script: str) -> list[str]:
    """The commands of a script that would go through the proxy of a machine's environment."""
    return [
        found[0]
        for text in (script, *inner(script))
        for found in ASKS.finditer(text)
        if found["after"] not in (r"--noproxy \*", "--noproxy '*'") and found["before"] != r"NO_PROXY=\* "
    ]


def test_no_question_of_ours_goes_through_a_proxy(sent: list[Sent]) -> None:
    """Only the key of Docker's packages comes from outside."""
    every = list(scripts(sent))
    found = {one for script in every for one in through_a_proxy(script) if "/gpg" not in script}
    assert not found
    assert sum("--noproxy" in script for script in every) > 10
    assert sum("NO_PROXY=" in script for script in every) > 10


@pytest.mark.parametrize(
    "script",
    ["curl -sS https://127.0.0.1:1", "sh -c 'timeout 5 /opt/kubernetes/bin/kubectl --kubeconfig /a get nodes'"],
)
def test_one_that_would_is_found(script: str) -> None:
    assert through_a_proxy(script)
