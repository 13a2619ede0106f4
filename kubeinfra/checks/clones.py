"""Machines that were cloned from one another: what each must have for itself is compared over all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from cryptography import x509
from cryptography.x509.oid import NameOID

from kubeinfra.checks.base import Seen
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.findings import EXPLAINED, Finding, Level
from kubeinfra.machine.state import MachineState
from kubeinfra.paths import KUBELET_CLIENT_PEM, KUBERNETES_SSL
from kubeinfra.reports.words import NAMED

_WANTED = "each machine needs its own"


def machine_ids(seen: Seen) -> Iterator[Finding]:
    own = {machine.name: found.survey.machine_id for machine, found in seen.machines}
    remedy = "rm /etc/machine-id /var/lib/dbus/machine-id; systemd-machine-id-setup; reboot, on all but one of them"
    yield from _equal("unique-machine-id", "error", "machine-id", own, remedy)


def product_uuids(seen: Seen) -> Iterator[Finding]:
    """A container has its host's."""
    own = {machine.name: found.survey.product_uuid for machine, found in seen.machines if not found.container}
    remedy = "give the clones a UUID of their own where the virtual machines are defined"
    yield from _equal("unique-product-uuid", "warning", "product_uuid", own, remedy)


def mac_addresses(seen: Seen) -> Iterator[Finding]:
    own = {}
    for machine, found in seen.machines:
        interface = found.interface_of(machine.address)
        link = found.survey.link(interface.name) if interface else None
        own[machine.name] = link.mac if link else ""
    remedy = "give the clones a MAC address of their own where the virtual machines are defined"
    yield from _equal("unique-mac", "error", "MAC address", own, remedy)


def host_keys(seen: Seen) -> Iterator[Finding]:
    """One key in common is enough; a machine has one of each kind."""
    having: dict[str, list[str]] = defaultdict(list)
    for machine, found in seen.machines:
        for key in found.survey.host_keys:
            having[key].append(machine.name)
    shared = {name: names for names in having.values() if len(names) > 1 for name in names}
    for machine, _ in seen.machines:
        if names := shared.get(machine.name):
            yield Finding(
                "unique-host-keys",
                machine.name,
                "warning",
                f"an ssh host key is that of {_list(names)}",
                _WANTED,
                "rm /etc/ssh/ssh_host_*; ssh-keygen -A; restart sshd, on all but one of them, and take the old "
                "ones out of your known_hosts: who has one of these machines can pass for the others",
                joints=EXPLAINED,
            )


def kubelet_certificates(cluster: Cluster, machine: Machine, found: MachineState) -> Iterator[Finding]:
    """The kubelet would go on as the node that it was cloned from, or that it was under its former address."""
    named = _common_name(found.survey.kubelet_certificate)
    wanted = f"system:node:{machine.node_name}"
    if "node" in machine.groups and named and named != wanted:
        yield Finding(
            "kubelet-certificate",
            machine.name,
            "error",
            f"its kubelet's certificate, {KUBELET_CLIENT_PEM}, is that of {named}",
            f"this is to be {wanted}",
            f"if it was cloned from a node: systemctl stop kubelet; rm {KUBERNETES_SSL}/kubelet-client-*, and the "
            "kubelet asks for its own",
            joints=EXPLAINED,
        )


def _common_name(pem: str) -> str:
    """Of the first certificate; "" if there is none that can be read, which the kubelet replaces by itself."""
    try:
        subject = x509.load_pem_x509_certificate(pem.encode()).subject
    except ValueError:
        return ""
    return "".join(str(one.value) for one in subject.get_attributes_for_oid(NameOID.COMMON_NAME))


def _equal(check: str, level: Level, what: str, own: Mapping[str, str], remedy: str) -> Iterator[Finding]:
    having: dict[str, list[str]] = defaultdict(list)
    for name, value in own.items():
        if value:
            having[value].append(name)
    for value, names in having.items():
        if len(names) > 1:
            for name in names:
                found = f"{what} {value} is that of {_list(names)}"
                yield Finding(check, name, level, found, _WANTED, remedy, joints=EXPLAINED)


def _list(names: list[str]) -> str:
    shown = names if len(names) <= NAMED else [*names[: NAMED - 1], f"{len(names) - NAMED + 1} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]])
