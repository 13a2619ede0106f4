"""Machines for trying the deploy: a container with systemd and sshd for each host of the inventory."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from kubeinfra.errors import KubeinfraError
from lab import commands
from lab.console import Phases
from lab.names import NAME, require_usable

COMMANDS = (
    commands.up,
    commands.demo,
    commands.down,
    commands.status,
    commands.shell,
    commands.ssh,
    commands.reboot,
    commands.power_cut,
)
HOST = "name or address, as in the inventory"


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    try:
        require_usable(NAME)
        options.run(options, Phases(Console(soft_wrap=True)))
    except KubeinfraError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\ninterrupted: run it again to go on, or `python -m lab down`")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for run in COMMANDS:
        name = run.__name__.replace("_", "-")
        command = subparsers.add_parser(name, help=run.__doc__, description=run.__doc__)
        command.set_defaults(run=run)
        if run is not commands.down:
            command.add_argument("--inventory", type=Path, default=Path("inventory.py"), help="default: %(default)s")
        if run in (commands.up, commands.demo):
            _add_machine_options(command)
        if run in (commands.shell, commands.ssh):
            command.add_argument("machine", metavar="HOST", help=HOST)
        if run in (commands.reboot, commands.power_cut):
            command.add_argument("machines", metavar="HOST", nargs="+", help=HOST)
        if run is commands.ssh:
            command.add_argument("command", metavar="CMD", nargs=argparse.REMAINDER)
    return parser


def _add_machine_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--fresh", action="store_true", help="remove the machines that are there first")
    command.add_argument(
        "--release",
        metavar="X.Y.Z",
        help="of Kubernetes, in place of group_data's, until the machines go",
    )
    command.set_defaults(kinds=[])
    for name, what in (
        ("vm", "make this machine a virtual one, emulated where there is no KVM; may be repeated"),
        ("bare-vm", "the same without the packages that the deploy installs"),
        ("uml", "make this machine one of User-mode Linux: a kernel of its own, fast without KVM"),
    ):
        command.add_argument(
            f"--{name}", dest="kinds", action="append", type=partial(_of_kind, name), metavar="HOST", help=what
        )


def _of_kind(kind: str, machine: str) -> tuple[str, str]:
    return kind, machine


if __name__ == "__main__":
    main()
