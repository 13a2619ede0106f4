"""
The proxy through which a container runtime pulls images. Its URL may have a password, so it is in a file of its own:
any user may ask systemd for a unit's Environment=, but only root reads what EnvironmentFile= names (systemd.exec(5)).
"""

from __future__ import annotations

from kubeinfra.cluster.settings import Settings
from kubeinfra.components.base import Unit
from kubeinfra.machine.wanted import File, NoFile
from kubeinfra.paths import UNITS


def path(unit: Unit) -> str:
    """Of the file, next to the unit's drop-ins."""
    return f"{UNITS}/{unit.name}.d/kubeinfra-proxy.env"


def environment_files(unit: Unit, settings: Settings) -> list[str]:
    """What the unit must name, and is started from."""
    return [path(unit)] if settings.runtime_proxy else []


def file(unit: Unit, settings: Settings) -> File | NoFile:
    """The file, or that it is gone."""
    if settings.runtime_proxy is None:
        return NoFile(path(unit), mark=None)
    said = settings.runtime_proxy.model_dump(exclude_none=True)
    lines = "".join(f'{name.upper()}="{value}"\n' for name, value in said.items())
    return File(path(unit), f"# Written by kubeinfra: setting runtime_proxy.\n{lines}", mode="600", secret=True)
