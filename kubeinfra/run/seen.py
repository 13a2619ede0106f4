"""What this run has seen of the machines: each is asked once, by preflight, and described from that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock

from gevent.pool import Pool
from pyinfra import host, state
from pyinfra.api import Host
from pyinfra.api.exceptions import PyinfraError
from pyinfra.context import ctx_host

from kubeinfra.checks.reach import needed
from kubeinfra.cluster.cluster import Machine
from kubeinfra.components.base import Here
from kubeinfra.components.bootstrap import is_good, new_token
from kubeinfra.facts.machine import MachineFacts
from kubeinfra.machine.state import MachineState
from kubeinfra.run.context import run
from kubeinfra.run.controller import secrets
from kubeinfra.run.hosts import is_in_this_run, this_machine
from kubeinfra.run.inventory import cluster

_one_asks = Lock()  # else all hosts would ask the same one at once, more than its sshd lets into one connection


def seen(machine: Machine) -> MachineState:
    """State of this machine in preflight; a KeyError, if it was not read, is an error in the code."""
    return run().machines[machine.name]


def look_at(hosts: Iterable[Host]) -> None:
    """Read those of these hosts that have not been read yet; a host that does not answer is left out."""
    with _one_asks:
        for one in hosts:
            if one.name not in run().machines and (found := one.get_fact(MachineFacts)):
                run().machines[one.name] = found


def look_at_first(hosts: Iterable[Host]) -> None:
    """
    Read these hosts all at the same time, with the first command that they get; etcd members have their disk measured,
    and each tries what it must reach of the others.

    If it fails on one, the run ends with what to do about it.
    """
    with _one_asks:
        unread = [one for one in hosts if one.name not in run().machines]
        for found in Pool(state.config.PARALLEL or max(1, len(unread))).map(_first_look, unread):
            run().machines.update(found)


def _first_look(host: Host) -> dict[str, MachineState]:
    reason = "commands do not run there as they should, the reason is above"
    try:
        with ctx_host.use(host):
            machine = cluster().machine(host.name)
            reach = [one.target for one in needed(cluster(), machine)]
            if found := host.get_fact(MachineFacts, etcd="etcd" in machine.groups, reach=reach):
                return {host.name: found}
    except EOFError:
        reason = "sudo asks for a password, and there is no terminal to type it on"
    except PyinfraError as error:
        if "askpass" in str(error):  # any other reason pyinfra has shown
            reason = str(error)
    raise PyinfraError(f"\n{host.name}: {reason}; `ssh` to it and `sudo id` must work (docs/when-it-fails.md, 1)")


def joining() -> list[Machine]:
    """Nodes of this run that had no certificate that is good when preflight looked at them."""
    return [node for node in cluster().nodes if is_in_this_run(node) and _joins(node)]


def _joins(machine: Machine) -> bool:
    return "node" in machine.groups and not is_good(seen(machine).survey.kubelet_certificate, datetime.now(UTC))


def bootstrap_token() -> str:
    """That of this run, for the nodes that join; it is kept nowhere."""
    run().bootstrap_token = token = run().bootstrap_token or new_token()
    return token


def here() -> Here:
    """This host, as components describe it: read again for each operation, as a run creates CAs and secrets."""
    machine = this_machine()
    if "etcd" in machine.groups and seen(machine).etcd_name is None:  # a new member: which names are free?
        look_at(state.inventory.get_host(one.name) for one in cluster().etcd_machines)
    joins, shared = _joins(machine), secrets()
    if cluster().bootstrap_tokens == "secret":
        shared = replace(shared, bootstrap_token=bootstrap_token() if joins and state.is_executing else None)
    return Here(cluster(), machine, seen(machine), shared, dict(run().machines), joins)


def seen_again() -> MachineState:
    """This host's state as it is now, after packages were installed; in a plan, and for all else, `here` is right."""
    found = host.get_fact(MachineFacts) if state.is_executing else None
    return found or seen(this_machine())


def arch_of(machine: Machine) -> str:
    """Its architecture; this host's if nobody has looked at it, as it takes no part in this run."""
    return run().machines.get(machine.name, seen(this_machine())).arch
