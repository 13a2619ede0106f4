"""What `python -m lab` can be asked to do; each docstring is the command's help."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

from rich.table import Table

from kubeinfra.atomic import locked
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.errors import KubeinfraError
from lab import artifacts, engine, host, image, inventory, keys, machines, network, settings
from lab.console import Phase, Phases
from lab.docker import docker
from lab.names import LAB, container
from lab.process import run

# By machine, not by checkout: there is one engine, and one kernel.
SAVED_SYSCTLS = engine.HOME / "sysctls.saved"
LOCK = engine.HOME / "lock"


def up(options: argparse.Namespace, phases: Phases) -> None:
    """engine, image, machines, and what the deploy needs to know of them"""
    _up(options, phases)
    phases.console.print(f"the lab is up; deploy to it with:\n  {shlex.join(deploy_command(options.inventory))}")


def demo(options: argparse.Namespace, phases: Phases) -> None:
    """up, deploy, and a look at the cluster"""
    cluster = _up(options, phases)
    with phases("deploy"):
        _deploy(options.inventory)
    _summary(cluster, phases)


def down(options: argparse.Namespace, phases: Phases) -> None:
    """remove machines, volumes, network and routes; put the kernel's settings back"""
    with _alone():
        _down(phases)


def status(options: argparse.Namespace, phases: Phases) -> None:
    """one line a machine; exit code 1 unless all of them run"""
    _require_engine()
    cluster, _ = inventory.read(options.inventory)
    rows = [_status(machine) for machine in cluster.machines]
    table = Table("machine", "address", "groups", "container", "systemd", "ssh")
    for row in rows:
        table.add_row(*row)
    phases.console.print(table)
    if any(row[-2:] != ("running", "ok") for row in rows):
        sys.exit(1)


def shell(options: argparse.Namespace, phases: Phases) -> None:
    """a shell in a machine, without ssh"""
    terminal = ["--interactive", "--tty"] if sys.stdin.isatty() else ["--interactive"]
    machine = _machine(options)
    os.execvp("docker", ["docker", "exec", *terminal, container(machine.name), "bash", "-l"])


def ssh(options: argparse.Namespace, phases: Phases) -> None:
    """log in as root, or run a command, with the lab's key"""
    if not shutil.which("ssh"):
        raise KubeinfraError("no ssh client is installed (Debian: openssh-client); `python -m lab shell` needs none")
    given = ["-i", str(keys.LOGIN_KEY), "-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={keys.KNOWN_HOSTS}"]
    os.execvp("ssh", ["ssh", *given, f"root@{_machine(options).address}", *options.command])


def deploy_command(inventory: Path) -> list[str]:
    """What the user types, and what `demo` runs."""
    connection = ["--ssh-user", "root", "--ssh-key", str(keys.LOGIN_KEY), "--group-data", str(settings.GROUP_DATA)]
    return [str(Path(sys.executable).with_name("pyinfra")), "-y", *connection, str(inventory), "deploy.py"]


def _up(options: argparse.Namespace, phases: Phases) -> Cluster:
    cluster, warnings = inventory.read(options.inventory)
    for warning in warnings:
        phases.console.print(f"warning: {warning}", markup=False)
    with _alone(), ThreadPoolExecutor(1) as pool:
        with phases("engine") as step:
            step.result = engine.provide(step)
        if options.fresh:
            _down(phases)
        building = pool.submit(_artifacts, phases, cluster)
        _machines(phases, cluster)
        settings.write(settings.lab_settings(artifacts.BUILT, building.result()), cluster.machines)
        with phases("prefetch") as step:
            _prefetch(step, options.inventory)
    return cluster


def _artifacts(phases: Phases, cluster: Cluster) -> dict[str, str]:
    with phases("artifacts") as step:
        return artifacts.provide(step, cluster)


def _machines(phases: Phases, cluster: Cluster) -> None:
    with phases("image") as step:
        reference = image.provide(step)
    with phases("machines") as step:
        addresses = [machine.address for machine in cluster.machines]
        networks = _cluster_networks(cluster)
        host.require_free(reference, {"inventory:": network.subnet(addresses), **networks})
        host.protect(reference, networks.values(), SAVED_SYSCTLS)
        network.provide(addresses)
        machines.up(step, cluster.machines, reference)


def _cluster_networks(cluster: Cluster) -> dict[str, IPv4Network]:
    return {"service_cidr": cluster.settings.service_cidr, "cluster_cidr": cluster.settings.cluster_cidr}


def _prefetch(step: Phase, inventory: Path) -> None:
    """Everything that the deploy will send, unpacked and compressed: then the deploy's own time is the hosts'."""
    group_data = ["--group-data", str(settings.GROUP_DATA)]
    run(step, sys.executable, "-m", "kubeinfra", "artifacts", str(inventory), *group_data)


def _deploy(inventory: Path) -> None:
    done = subprocess.run(deploy_command(inventory), stdin=subprocess.DEVNULL)
    if done.returncode:
        raise KubeinfraError("the deploy has failed, the reason is above; `make deploy` goes on from there")


def _summary(cluster: Cluster, phases: Phases) -> None:
    """What runs where, in the cluster's own words, how long it took, and how to go on."""
    master = cluster.masters[0].name
    kubectl = ("exec", container(master), "kubectl", "get", "-o", "wide")
    paragraphs = [
        "\n".join(_described(machine) for machine in cluster.machines),
        docker(*kubectl, "nodes"),
        docker(*kubectl, "pods", "--all-namespaces"),
        ", ".join(f"{name} {seconds:.1f} s" for name, seconds in phases.finished),
        f"go on with:\n  {sys.executable} -m lab ssh {master} kubectl get pods -A -o wide",
    ]
    for paragraph in paragraphs:
        phases.console.print(f"\n{paragraph}", markup=False, highlight=False)


def _described(machine: Machine) -> str:
    return f"{machine.name:12} {machine.address!s:15} {' '.join(sorted(machine.groups))}"


def _require_engine() -> None:
    if not engine.answers():
        raise KubeinfraError("no Docker engine answers `docker info`, so nothing of the lab is up")


def _down(phases: Phases) -> None:
    _require_engine()
    with phases("down") as step:
        count = machines.down()
        restored = _restore(step)
        step.result = f"{count} machines removed" + (f"; put back: {', '.join(restored)}" if restored else "")


def _restore(step: Phase) -> list[str]:
    reference = image.existing() or (image.provide(step) if SAVED_SYSCTLS.exists() else None)
    return host.restore(reference, SAVED_SYSCTLS) if reference else []


def _status(machine: Machine) -> tuple[str, ...]:
    found = machines.containers().get(container(machine.name))
    described = (machine.name, str(machine.address), " ".join(sorted(machine.groups)))
    if found is None or found.state != "running":
        return (*described, found.state if found else "none", "-", "-")
    login = machines.login_refusal(machine.address) or "ok"
    return (*described, found.state, machines.systemd_state(machine.name) or "-", login)


def _machine(options: argparse.Namespace) -> Machine:
    cluster, _ = inventory.read(options.inventory)
    for machine in cluster.machines:
        if options.machine in (machine.name, machine.hostname, str(machine.address)):
            return machine
    names = ", ".join(machine.name for machine in cluster.machines)
    raise KubeinfraError(f"{options.machine}: {options.inventory} has no such machine; it has {names}")


@contextmanager
def _alone() -> Iterator[None]:
    """One `up` or `down` at a time; the lock goes with the process."""
    LAB.mkdir(mode=0o700, exist_ok=True)
    with locked(LOCK, _refuse_a_second):
        yield


def _refuse_a_second() -> None:
    raise KubeinfraError("another `python -m lab` is at work: wait until it has finished")
