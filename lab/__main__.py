"""Machines for trying the deploy: a container with systemd and sshd for each host of the inventory."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from kubeinfra.errors import KubeinfraError
from lab import commands
from lab.console import Phases


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    try:
        options.run(options, Phases(Console(soft_wrap=True)))
    except KubeinfraError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\ninterrupted: run it again to go on, or `python -m lab down`")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for run in (commands.up, commands.demo, commands.down, commands.status, commands.shell, commands.ssh):
        command = subparsers.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
        command.set_defaults(run=run)
        if run is not commands.down:
            command.add_argument("--inventory", type=Path, default=Path("inventory.py"), help="default: %(default)s")
        if run in (commands.up, commands.demo):
            command.add_argument("--fresh", action="store_true", help="remove the machines that are there first")
        if run in (commands.shell, commands.ssh):
            command.add_argument("machine", metavar="HOST", help="name or address, as in the inventory")
        if run is commands.ssh:
            command.add_argument("command", metavar="CMD", nargs=argparse.REMAINDER)
    return parser


if __name__ == "__main__":
    main()
