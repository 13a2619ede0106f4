"""The machines: for each host of the inventory one with systemd and sshd, a container or a virtual machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

from kubeinfra.cluster.cluster import Machine
from kubeinfra.errors import KubeinfraError
from lab import keys
from lab.console import Phase


class Found(NamedTuple):
    """A machine of the lab as it is there now, whichever checkout has made it."""

    name: str
    """As in the inventory."""
    state: str
    """running, or why not: exited, created, paused."""
    address: str
    image: str


class Kind(Protocol):
    """What machines are made of. All of its methods raise KubeinfraError with one line for the user."""

    @property
    def name(self) -> str:
        """As `lab_machine` in the inventory has it."""

    def provide(self, phase: Phase, new: int) -> str:
        """Make sure that so many more machines can be made; gives the image for them."""

    def found(self) -> dict[str, Found]:
        """Those that are there, by name."""

    def up(self, machine: Machine, image: str, found: Found | None) -> None:
        """Create and start it, as far as that is to be done; wait until it has booted and takes root's login."""

    def stop(self, machine: Machine) -> None:
        """Shut it down in its own order, and wait until it is off."""

    def cut(self, machine: Machine) -> None:
        """Take its power away."""

    def command(self, machine: Machine, *command: str, terminal: bool = False) -> list[str]:
        """What to call here so that this runs there, as root."""

    def systemd_state(self, machine: Machine) -> str:
        """What systemd says of it: running, degraded, starting ...; empty if nobody answers."""

    def remove(self) -> int:
        """Remove all, with their disks; gives how many there were."""


Planned = Mapping[Machine, Kind]
There = Mapping[str, Mapping[str, Found]]
"""Name of a kind -> its machines, by name."""


def up(phase: Phase, planned: Planned, images: Mapping[str, str]) -> None:
    """
    Bring up all machines; those that do not exist from the image of their kind.

    Raises KubeinfraError with one line for each machine that differs from the inventory or does not come up.
    """
    keys.login_key()
    keys.write_known_hosts((machine.name, machine.address) for machine in planned)
    there = found(planned.values())
    with ThreadPoolExecutor(len(planned)) as pool:
        came_up = [
            pool.submit(kind.up, machine, images[kind.name], there[kind.name].get(machine.name))
            for machine, kind in planned.items()
        ]
    if problems := [str(error) for future in came_up if (error := future.exception())]:
        raise KubeinfraError(*problems)
    phase.result = ", ".join([_counted(planned), *remarks(there, planned, images)])


def found(kinds: Iterable[Kind]) -> dict[str, dict[str, Found]]:
    """Name of the kind -> its machines that are there."""
    return {kind.name: kind.found() for kind in {kind.name: kind for kind in kinds}.values()}


def chosen(
    machines: Iterable[Machine],
    kinds: Sequence[Kind],
    wanted: Mapping[str, str],
    there: There,
) -> dict[Machine, Kind]:
    """
    Of which kind each machine is: as wanted, else as it is there, else of the first kind.

    + wanted: name of a machine -> name of a kind
    """
    by_name = {kind.name: kind for kind in kinds}
    is_there = {name: kind for kind, members in there.items() for name in members}
    return {
        machine: by_name[wanted.get(machine.name) or is_there.get(machine.name) or kinds[0].name]
        for machine in machines
    }


def conflicts(planned: Planned, there: There) -> list[str]:
    """Where an existing machine has another address, or is of another kind, than is wanted: one sentence each."""
    pairs = [
        (machine, planned[machine].name, kind, members[machine.name])
        for machine in planned
        for kind, members in there.items()
        if machine.name in members
    ]
    return [
        f"{machine.name} is up as a {kind} with address {one.address}, but a {wanted} with {machine.address} "
        "is asked for: run `python -m lab up --fresh`"
        for machine, wanted, kind, one in pairs
        if (kind, one.address) != (wanted, str(machine.address))
    ]


def remarks(there: There, planned: Planned, images: Mapping[str, str]) -> Iterator[str]:
    """What is not as a fresh lab would be, and is left so."""
    members = [(kind, one) for kind, members in there.items() for one in members.values()]
    if older := sorted(one.name for kind, one in members if kind in images and one.image != images[kind]):
        yield f"from an older image: {' '.join(older)}"
    if others := sorted({one.name for _, one in members} - {machine.name for machine in planned}):
        yield f"not in the inventory: {' '.join(others)}"


def _counted(planned: Planned) -> str:
    """ "6 machines", or "7 machines (6 container, 1 vm)"."""
    names = [kind.name for kind in planned.values()]
    each = ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))
    return f"{len(names)} machines" + (f" ({each})" if len(set(names)) > 1 else "")
