"""On a running cluster: a second run does nothing, quickly; so does each task alone; a plan changes nothing."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import pytest
from invocation import WAITING, Invocation, slowness
from laboratory import Lab
from observe import Processes, controller_tree, differences, machine_trees, processes, restarted

COMMAND = re.compile(r"Running command on (?:localhost: )?\(?([\w-]+)")
OPERATION = re.compile(r"--> Starting operation: (?:(.+?) \| )?")
LIMITS = {
    "host": None,
    "artifacts": None,
    "docker": "node",
    "ipvs": "node",
    "etcd": "etcd",
    "control_plane": "master",
    "node": "node",
    "load_balancer": "lb",
    "network": "master",
    "addons": "master",
}


def test_every_process_of_the_cluster_is_looked_at(cluster: Lab, before: Processes) -> None:
    """Else "none has restarted" would be true of none."""
    wanted = {(machine, "etcd") for machine in cluster.etcd}
    wanted |= {(machine, "kube-apiserver") for machine in cluster.masters}
    wanted |= {(machine, name) for machine in cluster.nodes for name in ("kubelet", "kube-proxy", "dockerd")}
    assert wanted <= before.keys(), f"these should run: {wanted - before.keys()}"


@dataclass(frozen=True)
class Seen:
    """A run; what it restarted; the containers of all pods before and after it."""

    done: Invocation
    restarted: set[tuple[str, str]]
    containers: tuple[set[str], set[str]]


def containers(cluster: Lab) -> set[str]:
    return {
        status["containerID"]
        for pod in cluster.get("pods", "--all-namespaces")["items"]
        for status in pod["status"]["containerStatuses"]
    }


@pytest.fixture(scope="module")
def second_run(cluster: Lab) -> Seen:
    """A run with nothing to do, which names each command, and what was seen before and after."""
    cluster.require_healthy("before a second run")
    before, pods = processes(cluster), containers(cluster)
    done = cluster.deploy("--json", "--debug")
    return Seen(done, restarted(before, processes(cluster)), (pods, containers(cluster)))


def test_a_second_run_changes_and_restarts_nothing(second_run: Seen) -> None:
    assert not second_run.done.changes, f"a second run should change nothing: {second_run.done.changes}"
    assert not second_run.restarted, f"a second run should restart nothing: {second_run.restarted}"
    before, after = second_run.containers
    assert before == after, f"a second run should restart no container: {before ^ after}"


def test_a_second_run_is_quick(cluster: Lab, second_run: Seen, figures: list[str]) -> None:
    slow = slowness()
    done = cluster.deploy()
    slow = max(slow, slowness())
    said = [line for line in done.text.splitlines() if not line.endswith(WAITING)]
    assert len(said) <= 40, f"a second run should have little to say:\n{done.text}"
    figures.append(f"second run: {done.seconds:.1f} s, peak memory {done.peak_megabytes:.0f} MB; slowness {slow:.1f}")
    quickest = min(done.seconds, second_run.done.seconds)
    assert quickest < 15 * slow, f"the quicker of two should take 15 s x {slow:.1f} at most, not {quickest:.1f} s"


@pytest.fixture(scope="module")
def commands(cluster: Lab, second_run: Seen, figures: list[str]) -> Counter[tuple[str, str]]:
    """(component, machine) -> remote commands of a second run; what is asked while preparing is "preflight"."""
    counted: Counter[tuple[str, str]] = Counter()
    component = "preflight"
    for _, line in second_run.done.said:
        if line.startswith("--> Starting operation: ") and (found := OPERATION.match(line)):
            component = found[1] or component
        elif found := COMMAND.search(line):
            counted[component, found[1]] += 1
    components = dict.fromkeys(component for component, _ in counted)
    figures.append(f"remote commands of a second run: {counted.total()}")
    for name in components:
        each = " ".join(f"{machine} {counted[name, machine]}" for machine in cluster.machines)
        figures.append(f"    {name:15} {each}")
    return counted


def test_remote_commands_are_counted(cluster: Lab, commands: Counter[tuple[str, str]]) -> None:
    assert commands["preflight", cluster.masters[0]] == 1, f"one command should look at a machine: {commands}"
    assert commands["host", cluster.masters[0]] >= 1, f"the debug log should name every command: {commands}"


def test_a_component_asks_each_machine_four_times_at_most(commands: Counter[tuple[str, str]]) -> None:
    many = {key: count for key, count in commands.items() if count > 4}
    assert not many, f"at most 4 remote commands a component and machine: {many}"


@pytest.mark.parametrize("task", LIMITS)
def test_a_task_alone_does_nothing(cluster: Lab, task: str) -> None:
    group = LIMITS[task]
    limit = ["--limit", group] if group else []
    done = cluster.pyinfra(f"tasks/{task}.py", "--json", *limit)
    assert done.code == 0, f"{done} should succeed on a running cluster:\n{done.text}"
    assert not done.changes, f"{done} should change nothing: {done.changes}"


def test_verify_alone_passes_and_cleans_up(cluster: Lab) -> None:
    done = cluster.pyinfra("tasks/verify.py", "--json")
    assert done.code == 0, f"{done} should find nothing wrong:\n{done.text}"
    assert list(done.changes) == ["verify | traffic"], f"only the traffic check makes anything: {done.changes}"
    assert "kubeinfra-verify" not in cluster.kubectl("get", "namespaces"), "it should have removed its pods"
    for component in ("etcd03", "kube-scheduler", "flannel.1"):
        assert re.search(rf"{component}.* healthy ", done.text), f"the table should have {component}:\n{done.text}"


def test_a_plan_changes_nothing(cluster: Lab, before: Processes) -> None:
    trees = machine_trees(cluster) | controller_tree(cluster.directory)
    plan = cluster.pyinfra("deploy.py", "--json", plan=True)
    assert not plan.planned, f"nothing should be planned on a finished cluster: {plan.planned}"
    changed = differences(trees, machine_trees(cluster) | controller_tree(cluster.directory))
    assert not changed, "a plan should leave everything as it is:\n" + "\n".join(changed[:30])
    assert not restarted(before, processes(cluster)), "a plan should restart nothing"


def test_a_plan_shows_what_a_setting_would_change(cluster: Lab) -> None:
    trees = machine_trees(cluster)
    plan = cluster.pyinfra("deploy.py", "--data", "etcd_compaction_retention=2h", plan=True)
    assert plan.code == 0, f"a plan should succeed:\n{plan.text}"
    for machine in cluster.etcd:
        for sentence in (
            "-ETCD_AUTO_COMPACTION_RETENTION=1h",
            "+ETCD_AUTO_COMPACTION_RETENTION=2h",
            "restart etcd.service: /opt/etcd/cfg/etcd changes",
        ):
            assert sentence in plan.told(machine), f"the plan should say of {machine}: {sentence}\n{plan.text}"
    assert "restart kube" not in plan.text, f"nothing else should restart:\n{plan.text}"
    assert not differences(trees, machine_trees(cluster)), "a plan should change nothing"
