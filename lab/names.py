"""Names that the parts of the lab share."""

from pathlib import Path

LAB = Path(".lab")
"""What the lab keeps between runs, in the directory that it is called in: keys and settings."""

LABEL = "org.kubeinfra.lab"
"""On everything that the lab makes in the engine; what has it is removed by `down`, and nothing else."""

NETWORK = "kubeinfra"
BRIDGE = "br-kubeinfra"
"""The network interface behind it on the engine's host; at most 15 characters."""


def container(machine: str) -> str:
    """The container that plays this machine of the inventory."""
    return f"kubeinfra-{machine}"
