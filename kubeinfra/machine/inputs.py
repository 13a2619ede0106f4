"""Records the files that a process was started from; read by `UnitStates` (kubeinfra/facts/units.py). Pure."""

from __future__ import annotations


def record_inputs(
    unit: str, files: list[str], optional: list[str] | None = None, existence: list[str] | None = None
) -> str:
    """
    The command of a unit's ExecStartPre that records its inputs; only root may read the record, as some are secret.

    The command is one quoted word for systemd, so paths must not have spaces or quotes.

    + files: recorded by content; the unit does not start if one is missing
    + optional: recorded by content if they exist
    + existence: paths for which only presence or absence is recorded
    """
    lines = [f"sha256sum {' '.join(files)}"]
    for then, paths in (("sha256sum", optional), ("echo present ", existence)):
        lines += [f"if [ -e {path} ]; then {then} {path}; else echo absent  {path}; fi" for path in paths or []]
    return f"/bin/sh -ec 'umask 077; mkdir -p /run/kubeinfra; {{ {'; '.join(lines)}; }} >/run/kubeinfra/{unit}.inputs'"
