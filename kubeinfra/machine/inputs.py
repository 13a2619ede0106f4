"""What a process was started from, written down by its unit; read by `UnitStates` (kubeinfra/facts/units.py). Pure."""

from __future__ import annotations


def record_inputs(
    unit: str, files: list[str], optional: list[str] | None = None, existence: list[str] | None = None
) -> str:
    """
    The unit's ExecStartPre line that records what its process starts from; for root only, as some files are secret.
    Paths are without spaces and quotes: all is one quoted word of systemd.

    + files: whose content counts; one that is missing stops the start
    + optional: whose content counts where they are there
    + existence: paths of which only matters whether they are there
    """
    lines = [f"sha256sum {' '.join(files)}"]
    for then, paths in (("sha256sum", optional), ("echo present ", existence)):
        lines += [f"if [ -e {path} ]; then {then} {path}; else echo absent  {path}; fi" for path in paths or []]
    return f"/bin/sh -ec 'umask 077; mkdir -p /run/kubeinfra; {{ {'; '.join(lines)}; }} >/run/kubeinfra/{unit}.inputs'"
