"""The kinds of machines that the lab has; the first is that of a machine of which nothing else is said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubeinfra.errors import KubeinfraError
from lab import machines
from lab.containers import Containers
from lab.image import Recipe
from lab.inventory import Inventory
from lab.machines import Kind, Planned
from lab.vm.machines import VirtualMachines
from lab.vm.qemu import Qemu
from lab.vm.user_mode import UserMode

CONTAINERS = Containers("container", Recipe())
# Login shells that are no sh, the fewest tools that a machine may have (BusyBox), firewalls, a time daemon.
OTHER_CONTAINERS = (
    Containers("debian-11", Recipe("debian-11", "bullseye", ("chrony", "docker-ce"), ("busybox", "fish", "ufw"))),
    Containers("debian-13", Recipe("debian-13", "trixie", ("chrony", "docker-ce"), ("csh", "docker-cli", "nftables"))),
    Containers("el-9", Recipe("el-9", parts=("el",))),
)
KINDS: tuple[Kind, ...] = (
    CONTAINERS,
    *OTHER_CONTAINERS,
    VirtualMachines("vm", prepared=True, computer=Qemu),
    VirtualMachines("bare-vm", prepared=False, computer=Qemu),
    VirtualMachines("uml", prepared=True, computer=UserMode),
)


def plan(inventory: Inventory, asked: Mapping[str, str]) -> Planned:
    """
    Of which kind each machine of the inventory is to be.

    + asked: name of a machine -> kind, before what the inventory says

    Raises KubeinfraError if there is no such kind, or if a machine is there already and differs.
    """
    wanted = {**inventory.kinds, **asked}
    known = [kind.name for kind in KINDS]
    if problems := [
        f'inventory: {name}: lab_machine is "{kind}", wanted one of {", ".join(known)}'
        for name, kind in wanted.items()
        if kind not in known
    ]:
        raise KubeinfraError(*problems)
    there = machines.found(KINDS)
    planned = machines.chosen(inventory.cluster.machines, KINDS, wanted, there)
    if problems := machines.conflicts(planned, there):
        raise KubeinfraError(*problems)
    return planned


def used(planned: Iterable[Kind]) -> list[Kind]:
    """The kinds in their order; containers always, as the lab uses tools of their image."""
    names = {kind.name for kind in planned}
    return [kind for kind in KINDS if kind is CONTAINERS or kind.name in names]
