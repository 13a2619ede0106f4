"""What must be true before anything is changed: sound settings, root, systemd, and the authorities that fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import get_args

from cryptography import x509
from pyinfra import host, state
from pyinfra.api import Host
from pyinfra.api.exceptions import PyinfraError

from kubeinfra.checks.machine import machine_findings
from kubeinfra.checks.secrets import SECRETS, needed_secrets, secret_findings
from kubeinfra.cluster.cluster import Machine
from kubeinfra.controller.directory import CAName
from kubeinfra.facts.machine import MachineFacts
from kubeinfra.findings import Finding
from kubeinfra.machine.state import MachineState
from kubeinfra.operations.controller import require_exclusive_run
from kubeinfra.pki.ca import fingerprint, public_key_der
from kubeinfra.run.controller import controller
from kubeinfra.run.hosts import is_lead_host
from kubeinfra.run.inventory import as_pyinfra_error, cluster

CA_NAMES: tuple[CAName, ...] = get_args(CAName)
_machines: dict[str, MachineState] = {}
_one_asks = Lock()  # else all hosts would ask the same one at once, more than its sshd lets into one connection


def preflight(changes: bool = True) -> None:
    """
    Look at the host of this run; whatever cannot work ends the run here, all hosts' mistakes in one message.

    + changes: whether the run is to change machines, which only one may at a time
    """
    cluster()
    if changes:
        require_exclusive_run(name="preflight | no other run is at work")
    found = _look_at_it()
    _machines[host.name] = found
    if _findings(host.name, found):
        _refuse(_findings, [one for one in state.inventory if one in state.active_hosts])


def _look_at_it() -> MachineState:
    """The first command on a machine: one that does not run ends the run with what to do about it."""
    reason = "commands do not run there as they should, the reason is above"
    try:
        if found := host.get_fact(MachineFacts):
            return found
    except EOFError:
        reason = "sudo asks for a password, and there is no terminal to type it on"
    except PyinfraError:
        pass  # the fact has told why
    raise PyinfraError(f"\n{host.name}: {reason}; `ssh` to it and `sudo id` must work (README.md, When it fails, 1)")


def _findings(name: str, found: MachineState) -> list[Finding]:
    unreadable = [Finding("controller", "", "error", problem) for problem in controller().problems()]
    return [
        *machine_findings(cluster(), cluster().machine(name), found),
        *(unreadable or _kept_findings(name, found)),
    ]


def _kept_findings(name: str, found: MachineState) -> list[Finding]:
    """Whether what the controller keeps is what this machine has."""
    return [*_ca_findings(name, found), *_secret_findings(name, found)]


def _refuse(judge: Callable[[str, MachineState], list[Finding]], hosts: Sequence[Host]) -> None:
    """End the run with what is wrong on any of these hosts; go on where nothing is."""
    with _one_asks:
        for one in hosts:
            if one.name not in _machines and (found := one.get_fact(MachineFacts)):
                _machines[one.name] = found
    every = [finding for one in hosts if one.name in _machines for finding in judge(one.name, _machines[one.name])]
    if every:
        raise PyinfraError("\n" + "\n".join(dict.fromkeys(finding.sentence() for finding in every)))


def arch_of(machine: Machine) -> str:
    """Its architecture; this host's, where preflight has not looked at it."""
    return _machines.get(machine.name, machine_state()).arch


def machine_state() -> MachineState:
    """What preflight saw of this host."""
    return _machines[host.name]


def _ca_findings(name: str, found: MachineState) -> list[Finding]:
    """A machine that trusts an authority which this controller does not have belongs to another's cluster."""
    findings = []
    with as_pyinfra_error():
        ours = {ca: controller().ca(ca) for ca in CA_NAMES}
    for ca, pem in found.cas.items():
        mine = ours[ca]
        try:
            theirs = x509.load_pem_x509_certificate(pem.encode())
        except ValueError:
            continue  # a damaged copy is put right from ours
        if mine and public_key_der(mine.certificate.public_key()) == public_key_der(theirs.public_key()):
            continue
        has = f"has another one, {mine.fingerprint}" if mine else "has none"
        findings.append(
            Finding(
                "CAs",
                name,
                "error",
                f"trusts authority {ca} {fingerprint(theirs)}; {controller().directory} {has}",
                remedy="Bring that directory from the controller that set the cluster up; a second authority would "
                "cut it off",
                joints=("; ", ". "),
            )
        )
    return findings


def _secret_findings(name: str, found: MachineState) -> list[Finding]:
    with as_pyinfra_error():
        kept = [secret for secret in SECRETS if controller().secret(secret) is not None]
    return secret_findings(cluster(), cluster().machine(name), found, kept, controller().directory)


def check_absent_machines() -> None:
    """Before an authority or a secret is made: machines that this run leaves out (--limit) may have one already."""
    if not is_lead_host():
        return
    with as_pyinfra_error():
        complete = all(controller().ca(name) for name in CA_NAMES)
        complete = complete and all(controller().secret(name) for name in needed_secrets(cluster()))
    if not complete:
        _refuse(_kept_findings, [other for other in state.inventory if other not in state.activated_hosts])
