"""What `python -m lab` can be asked to do; each docstring is the command's help."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

from rich.table import Table

from kubeinfra.atomic import locked
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.errors import KubeinfraError
from lab import artifacts, containers, engine, host, image, inventory, keys, kinds, machines, network, settings
from lab import ssh as logins
from lab.console import Phase, Phases
from lab.containers import Containers
from lab.machines import Found, Kind, Planned
from lab.names import LAB, NAME
from lab.process import run

# By computer, not by checkout: there is one engine, and one kernel.
SAVED_SYSCTLS = engine.HOME / "sysctls.saved"


def up(options: argparse.Namespace, phases: Phases) -> None:
    """engine, image, machines, and what the deploy needs to know of them"""
    _up(options, phases)
    phases.console.print(f"the lab is up; deploy to it with:\n  {shlex.join(deploy_command(options.inventory))}")


def demo(options: argparse.Namespace, phases: Phases) -> None:
    """up, deploy, and a look at the cluster"""
    cluster, planned = _up(options, phases)
    with phases("deploy"):
        _deploy(options.inventory)
    _summary(cluster, planned, phases)


def down(options: argparse.Namespace, phases: Phases) -> None:
    """remove machines, volumes, network and routes; put the kernel's settings back"""
    with _alone():
        _down(phases)


def reboot(options: argparse.Namespace, phases: Phases) -> None:
    """shut machines down, those that run, and start them; wait until they have booted"""
    with _alone(), phases("reboot") as step:
        _each(_present(options), _reboot)
        step.result = " ".join(options.machines)


def power_cut(options: argparse.Namespace, phases: Phases) -> None:
    """take the power of machines away; `up` or `reboot` starts them again"""
    with _alone(), phases("power cut") as step:
        _each(_present(options), lambda machine, kind: kind.cut(machine))
        step.result = " ".join(options.machines)


def status(options: argparse.Namespace, phases: Phases) -> None:
    """one line a machine; exit code 1 unless all of them run"""
    _require_engine()
    read = inventory.read(options.inventory)
    there = machines.found(kinds.KINDS)
    planned = machines.chosen(read.cluster.machines, kinds.KINDS, {}, there)
    rows = [_status(machine, kind, there[kind.name].get(machine.name)) for machine, kind in planned.items()]
    table = Table("machine", "address", "groups", "kind", "state", "systemd", "ssh")
    for row in rows:
        table.add_row(*row)
    phases.console.print(table)
    if any(row[-2:] != ("running", "ok") for row in rows):
        sys.exit(1)


def shell(options: argparse.Namespace, phases: Phases) -> None:
    """a shell in a machine; without ssh if it is a container"""
    _require_engine()
    (machine,) = _machines_named(options, [options.machine])
    kind = machines.chosen([machine], kinds.KINDS, {}, machines.found(kinds.KINDS))[machine]
    command = kind.command(machine, terminal=sys.stdin.isatty())
    os.execvp(command[0], command)


def ssh(options: argparse.Namespace, phases: Phases) -> None:
    """log in as root, or run a command, with the lab's key"""
    if not shutil.which("ssh"):
        raise KubeinfraError("no ssh client is installed (Debian: openssh-client); `python -m lab shell` needs none")
    (machine,) = _machines_named(options, [options.machine])
    command = logins.command(machine.address, *options.command)
    os.execvp(command[0], command)


def deploy_command(inventory: Path) -> list[str]:
    """What the user types, and what `demo` runs."""
    connection = ["--ssh-user", "root", "--ssh-key", str(keys.LOGIN_KEY), "--group-data", str(settings.GROUP_DATA)]
    return [str(Path(sys.executable).with_name("pyinfra")), "-y", *connection, str(inventory), "deploy.py"]


def _up(options: argparse.Namespace, phases: Phases) -> tuple[Cluster, Planned]:
    release = _release(options)
    read = inventory.read(options.inventory, release)
    cluster = read.cluster
    for warning in read.warnings:
        phases.console.print(f"warning: {warning}", markup=False)
    asked = {_named(options, cluster, name).name: kind for kind, name in options.kinds}
    with _alone(), ThreadPoolExecutor(1) as pool:
        with phases("engine") as step, _shared("engine", step):
            step.result = engine.provide(step)
        if options.fresh:
            _down(phases)
        planned = kinds.plan(read, asked)
        building = pool.submit(_artifacts, phases, cluster)
        _machines(phases, cluster, planned)
        in_containers = [machine for machine, kind in planned.items() if isinstance(kind, Containers)]
        values = settings.lab_settings(
            cluster, artifacts.BUILT, building.result(), restricted=engine.lacks_sys_resource()
        )
        settings.write({**values, **release}, cluster.machines, in_containers)
        with phases("prefetch") as step:
            _prefetch(step, options.inventory)
    return cluster, planned


def _release(options: argparse.Namespace) -> dict[str, object]:
    """What is said for this lab only holds until the machines go: a later `up` or `make deploy` need not say it."""
    if options.release:
        return {settings.RELEASE: options.release}
    return {} if options.fresh else settings.release_asked_for()


def _artifacts(phases: Phases, cluster: Cluster) -> dict[str, str]:
    with phases("artifacts") as step:
        return artifacts.provide(step, cluster)


def _machines(phases: Phases, cluster: Cluster, planned: Planned) -> None:
    images = _images(phases, planned)
    with phases("machines") as step:
        addresses = [machine.address for machine in cluster.machines]
        networks = _cluster_networks(cluster)
        reference = images[kinds.CONTAINERS.name]
        with _shared("host", step):
            host.require_free(reference, {"inventory:": network.subnet(addresses), **networks})
            host.protect(reference, networks.values(), SAVED_SYSCTLS)
            network.provide(addresses)
        machines.up(step, planned, images)


def _images(phases: Phases, planned: Planned) -> dict[str, str]:
    """Name of a kind -> what its machines are made from."""
    images = {}
    for kind in kinds.used(planned.values()):
        members = [machine.name for machine, other in planned.items() if other is kind]
        with phases(_provided(kind)) as step, _shared(kind.name, step):
            images[kind.name] = kind.provide(step, len(set(members) - kind.found().keys()))
    return images


def _provided(kind: Kind) -> str:
    if kind is kinds.CONTAINERS:
        return "image"
    return f"{kind.name} image" if isinstance(kind, Containers) else f"{kind.name} disk"


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


def _summary(cluster: Cluster, planned: Planned, phases: Phases) -> None:
    """What runs where, in the cluster's own words, how long it took, and how to go on."""
    master = cluster.masters[0]

    def kubectl(*arguments: str) -> str:
        command = planned[master].command(master, "kubectl", "get", "-o", "wide", *arguments)
        return subprocess.check_output(command, text=True).rstrip("\n")

    paragraphs = [
        "\n".join(_described(machine) for machine in cluster.machines),
        kubectl("nodes"),
        kubectl("pods", "--all-namespaces"),
        ", ".join(f"{name} {seconds:.1f} s" for name, seconds in phases.finished),
        f"go on with:\n  {sys.executable} -m lab ssh {master.name} kubectl get pods -A -o wide",
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
        count = sum(kind.remove() for kind in kinds.KINDS)
        containers.remove_rest()
        settings.forget()
        with _shared("host", step):
            restored = [] if network.others() else _restore(step)
        step.result = f"{count} machines removed" + (f"; put back: {', '.join(restored)}" if restored else "")


def _restore(step: Phase) -> list[str]:
    reference = image.existing() or (image.provide(step, kinds.CONTAINERS.recipe) if SAVED_SYSCTLS.exists() else None)
    return host.restore(reference, SAVED_SYSCTLS) if reference else []


def _status(machine: Machine, kind: Kind, found: Found | None) -> tuple[str, ...]:
    described = (machine.name, str(machine.address), " ".join(sorted(machine.groups)))
    if found is None or found.state != "running":
        return (*described, *((kind.name, found.state) if found else ("-", "none")), "-", "-")
    login = logins.refusal(machine.address) or "ok"
    return (*described, kind.name, found.state, kind.systemd_state(machine) or "-", login)


def _present(options: argparse.Namespace) -> Planned:
    """The machines that a command is about, which must be there."""
    _require_engine()
    named = _machines_named(options, options.machines)
    there = machines.found(kinds.KINDS)
    names = {name for members in there.values() for name in members}
    if absent := [machine.name for machine in named if machine.name not in names]:
        raise KubeinfraError(f"not there: {', '.join(absent)}; `python -m lab up` makes what the inventory has")
    return machines.chosen(named, kinds.KINDS, {}, there)


def _each(planned: Planned, do: Callable[[Machine, Kind], None]) -> None:
    """The same to several machines at once; raises KubeinfraError with one line for each with which it fails."""
    with ThreadPoolExecutor(len(planned)) as pool:
        done = [pool.submit(do, machine, kind) for machine, kind in planned.items()]
    if problems := [str(error) for future in done if (error := future.exception())]:
        raise KubeinfraError(*problems)


def _reboot(machine: Machine, kind: Kind) -> None:
    if kind.found()[machine.name].state == "running":
        kind.stop(machine)
    found = kind.found()[machine.name]
    kind.up(machine, found.image, found)


def _machines_named(options: argparse.Namespace, names: Sequence[str]) -> list[Machine]:
    cluster = inventory.read(options.inventory).cluster
    return [_named(options, cluster, name) for name in names]


def _named(options: argparse.Namespace, cluster: Cluster, name: str) -> Machine:
    for machine in cluster.machines:
        if name in (machine.name, machine.hostname, str(machine.address)):
            return machine
    names = ", ".join(machine.name for machine in cluster.machines)
    raise KubeinfraError(f"{name}: {options.inventory} has no such machine; it has {names}")


@contextmanager
def _alone() -> Iterator[None]:
    """One `up` or `down` of a lab at a time; the lock goes with the process."""
    LAB.mkdir(mode=0o700, exist_ok=True)
    with locked(engine.HOME / f"lab-{NAME}.lock", _refuse_a_second):
        yield


def _refuse_a_second() -> None:
    raise KubeinfraError("another `python -m lab` is at work: wait until it has finished")


@contextmanager
def _shared(what: str, step: Phase) -> Iterator[None]:
    """What labs of all names have in common: one changes it, the others wait."""
    with locked(engine.HOME / f"{what}.lock", lambda: step.note(f"another lab is at work on: {what}")):
        yield
