"""What must be true before anything is changed: sound settings, root, systemd, and the authorities that fit."""

from __future__ import annotations

from typing import get_args

from cryptography import x509
from pyinfra import host, state
from pyinfra.api.exceptions import PyinfraError

from kubeinfra.controller import controller
from kubeinfra.facts.machine import Machine, MachineState
from kubeinfra.inventory import cluster, shown_as_message
from kubeinfra.pki import fingerprint, public_key_der
from kubeinfra.releases import ARCHES
from kubeinfra.state import SecretName

SECRETS: tuple[SecretName, ...] = get_args(SecretName)
_machines: dict[str, MachineState] = {}


def preflight() -> None:
    """Look at the host of this run; whatever cannot work ends the run here, all of it in one message."""
    cluster()
    found: MachineState | None = host.get_fact(Machine)
    if found is None:
        return  # the fact has told why, and the host is out of the run
    _machines[host.name] = found
    mistakes = [*_machine_mistakes(found), *_controller_mistakes(), *_authority_mistakes(host.name, found)]
    mistakes += _secret_mistakes(host.name, found)
    if mistakes:
        raise PyinfraError("\n" + "\n".join(mistakes))


def machine_state() -> MachineState:
    """What preflight saw of this host."""
    if host.name not in _machines:
        preflight()
    return _machines[host.name]


def _machine_mistakes(found: MachineState) -> list[str]:
    mistakes = []
    if found.uid != 0:
        mistakes.append(
            f"{host.name}: commands run as user {found.uid}, root is needed; "
            "set _sudo = True in group_data/all.py, or connect with --ssh-user root"
        )
    if found.arch not in ARCHES:
        mistakes.append(f"{host.name}: architecture {found.arch} is not supported: {' or '.join(ARCHES)}")
    if not found.systemd:
        mistakes.append(f"{host.name}: systemd is not PID 1; every component is a systemd unit")
    if not found.family:
        mistakes.append(f"{host.name}: has neither apt-get nor dnf or yum; install from a Debian- or RHEL-like")
    return mistakes


def _controller_mistakes() -> list[str]:
    return controller().problems()


def _authority_mistakes(name: str, found: MachineState) -> list[str]:
    """A machine that trusts an authority which this controller does not have belongs to another's cluster."""
    mistakes = []
    with shown_as_message():
        ours = {authority: controller().authority(authority) for authority in ("etcd", "kubernetes", "front-proxy")}
    for authority, pem in found.authorities.items():
        mine = ours[authority]
        try:
            theirs = x509.load_pem_x509_certificate(pem.encode())
        except ValueError:
            continue  # a damaged copy is put right from ours
        if mine and public_key_der(mine.certificate.public_key()) == public_key_der(theirs.public_key()):
            continue
        has = f"has another one, {mine.fingerprint}" if mine else "has none"
        mistakes.append(
            f"{name}: trusts authority {authority} {fingerprint(theirs)}; {controller().directory} {has}. "
            "Bring that directory from the controller that set the cluster up; a second authority would cut it off"
        )
    return mistakes


def _secret_mistakes(name: str, found: MachineState) -> list[str]:
    """Another service account key would cut off every pod; another token or password, whoever has the old one."""
    given = {"vrrp-password"} if cluster().settings.vrrp_password else set()
    with shown_as_message():
        lost = [secret for secret in SECRETS if secret in found.secrets - given and controller().secret(secret) is None]
    return [
        f"{name}: has the cluster's {secret}, but {controller().directory} does not; restore that directory from a "
        "backup, or bring it from the controller that set the cluster up"
        for secret in lost
    ]


def check_absent_machines() -> None:
    """Before a first authority is made: machines that this run leaves out (--limit) may trust one already."""
    with shown_as_message():
        complete = all(controller().authority(name) for name in ("etcd", "kubernetes", "front-proxy"))
    if complete:
        return
    mistakes = []
    for other in state.inventory:
        if other not in state.activated_hosts:
            found = other.get_fact(Machine)
            mistakes += _authority_mistakes(other.name, found) if found else []
    if mistakes:
        raise PyinfraError("\n" + "\n".join(mistakes))
