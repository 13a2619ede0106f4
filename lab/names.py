"""Names that the parts of the lab share."""

import os
import re
from pathlib import Path

from kubeinfra.errors import KubeinfraError

LAB = Path(".lab")
"""What the lab keeps between runs, in the directory that it is called in: keys and settings."""

NAME = os.environ.get("KUBEINFRA_LAB") or "kubeinfra"
"""Labs of different names can be up side by side, each from a directory and with addresses of its own."""

LABEL = "org.kubeinfra.lab"
"""On everything that a lab makes in the engine, with its name as the value."""

OWN = f"{LABEL}={NAME}"
"""What has it is removed by `down`, and nothing else."""

NETWORK = NAME
BRIDGE = f"br-{NAME}"
"""The network interface behind it on the engine's host: the kernel's names have at most 15 characters."""


def require_usable(name: str) -> None:
    """Raises KubeinfraError for a lab's name that a network interface or a container cannot have."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", name):
        raise KubeinfraError(
            f'KUBEINFRA_LAB is "{name}", {len(name)} characters: use at most 12 small letters, digits and "-", '
            "such as lab-2"
        )


def container(machine: str) -> str:
    """The container that plays this machine of the inventory."""
    return f"{NAME}-{machine}"
