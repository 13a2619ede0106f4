"""What must be true before anything is changed: sound settings, root, systemd, and the authorities that fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import get_args

from cryptography import x509
from pyinfra import host, state
from pyinfra.api import Host
from pyinfra.api.exceptions import PyinfraError

from kubeinfra.cluster.cluster import Machine
from kubeinfra.controller.directory import CAName, SecretName
from kubeinfra.facts.machine import MachineFacts, MachineState
from kubeinfra.machine.edits import has_resolver_for_pods
from kubeinfra.operations.controller import require_exclusive_run
from kubeinfra.pki.ca import fingerprint, public_key_der
from kubeinfra.releases.catalogue import ARCHES
from kubeinfra.run.controller import controller
from kubeinfra.run.hosts import is_lead_host
from kubeinfra.run.inventory import as_pyinfra_error, cluster

CA_NAMES: tuple[CAName, ...] = get_args(CAName)
SECRETS: tuple[SecretName, ...] = get_args(SecretName)
# The oldest that reads all of the units as they are meant: "+" before a command (systemd's NEWS, 231).
SYSTEMD = 231
CLOCKS_DIFFER = 240  # seconds; a certificate begins 300 s before it is made (kubeinfra/pki/ca.py)
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
    if _problems(host.name, found):
        _refuse(_problems, [one for one in state.inventory if one in state.active_hosts])


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


def _problems(name: str, found: MachineState) -> list[str]:
    unreadable = controller().problems()
    return [
        *_machine_problems(name, found),
        *(unreadable or [*_ca_problems(name, found), *_secret_problems(name, found)]),
    ]


def _refuse(judge: Callable[[str, MachineState], list[str]], hosts: Sequence[Host]) -> None:
    """End the run with what is wrong on any of these hosts; go on where nothing is."""
    with _one_asks:
        for one in hosts:
            if one.name not in _machines and (found := one.get_fact(MachineFacts)):
                _machines[one.name] = found
    every = [problem for one in hosts if one.name in _machines for problem in judge(one.name, _machines[one.name])]
    if every:
        raise PyinfraError("\n" + "\n".join(dict.fromkeys(every)))


def arch_of(machine: Machine) -> str:
    """Its architecture; this host's, where preflight has not looked at it."""
    return _machines.get(machine.name, machine_state()).arch


def machine_state() -> MachineState:
    """What preflight saw of this host."""
    return _machines[host.name]


def _machine_problems(name: str, found: MachineState) -> list[str]:
    problems = []
    if found.uid != 0:
        problems.append(
            f"{name}: commands run as user {found.uid}, root is needed; "
            "set _sudo = True in group_data/all.py, or connect with --ssh-user root"
        )
    if found.arch not in ARCHES:
        problems.append(f"{name}: architecture {found.arch} is not supported: {' or '.join(ARCHES)}")
    if found.systemd is None:
        problems.append(f"{name}: systemd is not PID 1; every component is a systemd unit: take a machine that has it")
    elif found.systemd < SYSTEMD:
        problems.append(
            f"{name}: systemd {found.systemd} is too old, {SYSTEMD} or newer is needed: take RHEL 8, Debian 10, "
            "Ubuntu 20.04 or newer ones"
        )
    if not found.family:
        problems.append(f"{name}: has neither apt-get nor dnf or yum; install from a Debian- or RHEL-like")
    problems += _address_problems(name, found)
    problems += _clock_problems(name, found)
    version, below = cluster().settings.kubernetes_version, cluster().release.docker_below
    distribution = cluster().settings.docker_source == "distribution"
    if "node" in cluster().machine(name).groups and distribution and found.family == "redhat":
        problems.append(
            f"{name}: RHEL-likes have no Docker of their own, their package docker is Podman; set docker_source = "
            '"docker-ce" in group_data/all.py, and docker_repository to a mirror that the machine reaches'
        )
    if "node" in cluster().machine(name).groups and found.docker_major is not None and found.docker_major >= below:
        problems.append(
            f"{name}: Docker {found.docker_major} is installed; Kubernetes {version} needs one below {below}: remove "
            "it, and the deploy installs one that fits, or put an older one in its place"
        )
    problems += _overlaps(name, found)
    if "node" in cluster().machine(name).groups and not _has_upstream(found):
        problems.append(
            f"{name}: /etc/resolv.conf names no server that pods can reach, and CoreDNS asks those of it; set "
            'dns_upstreams in group_data/all.py, such as ["192.168.80.1"], or to [] for no names outside the cluster'
        )
    return problems


def _address_problems(name: str, found: MachineState) -> list[str]:
    """A cloud's public address is often on none of the machine's interfaces: nothing could listen there."""
    address = cluster().machine(name).address
    has = [one.ip for one in found.addresses if not one.ip.is_loopback]
    if not has or address in has:
        return []
    return [
        f"{name}: no interface has its address {address}; it has {', '.join(map(str, has))}: say in the inventory "
        'which of them the other machines reach, such as {"ssh_hostname": "' + f'{address}", "address": "{has[0]}"}}'
    ]


def _clock_problems(name: str, found: MachineState) -> list[str]:
    """Where the deploy sets up chrony, that puts the clock right."""
    sets_it_up = cluster().settings.time_servers and not found.keeps_time and not found.container
    if abs(found.clock_ahead) <= CLOCKS_DIFFER or sets_it_up:
        return []
    how = "ahead of" if found.clock_ahead > 0 else "behind"
    return [
        f"{name}: its clock is {abs(found.clock_ahead):.0f} s {how} this controller's; certificates need clocks that "
        f"agree within {CLOCKS_DIFFER} s: set the one that is wrong, and see why its time daemon has not"
    ]


def _overlaps(name: str, found: MachineState) -> list[str]:
    """Services and pods must not have addresses of the network that the machines themselves are in."""
    own = next((one.network for one in found.addresses if one.ip == cluster().machine(name).address), None)
    networks = {"service_cidr": cluster().settings.service_cidr, "cluster_cidr": cluster().settings.cluster_cidr}
    return [
        f"{name}: {setting} {network} overlaps its own network {own}; take one that shares no address with it"
        for setting, network in networks.items()
        if own and own.overlaps(network)
    ]


def _has_upstream(found: MachineState) -> bool:
    uses_it = "/etc/resolv.conf" in cluster().settings.dns_upstreams
    return not uses_it or found.systemd_resolv_conf or has_resolver_for_pods(found.resolv_conf)


def _ca_problems(name: str, found: MachineState) -> list[str]:
    """A machine that trusts an authority which this controller does not have belongs to another's cluster."""
    problems = []
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
        problems.append(
            f"{name}: trusts authority {ca} {fingerprint(theirs)}; {controller().directory} {has}. "
            "Bring that directory from the controller that set the cluster up; a second authority would cut it off"
        )
    return problems


def _secret_problems(name: str, found: MachineState) -> list[str]:
    """Another service account key would cut off every pod; another token or password, whoever has the old one."""
    with as_pyinfra_error():
        lost = [one for one in SECRETS if one in found.secrets - _given() and controller().secret(one) is None]
    return [
        f"{name}: has the cluster's {secret}, but {controller().directory} does not; restore that directory from a "
        "backup, or bring it from the controller that set the cluster up"
        for secret in lost
    ]


def _given() -> set[SecretName]:
    """Secrets that need not be made: a setting says them, or nobody needs them."""
    settings = cluster().settings
    return {"vrrp-password"} if settings.vrrp_password or not cluster().load_balancers else set()


def check_absent_machines() -> None:
    """Before an authority or a secret is made: machines that this run leaves out (--limit) may have one already."""
    if not is_lead_host():
        return
    with as_pyinfra_error():
        complete = all(controller().ca(name) for name in CA_NAMES)
        complete = complete and all(controller().secret(name) for name in SECRETS if name not in _given())
    if not complete:
        _refuse(
            lambda name, found: [*_ca_problems(name, found), *_secret_problems(name, found)],
            [other for other in state.inventory if other not in state.activated_hosts],
        )
