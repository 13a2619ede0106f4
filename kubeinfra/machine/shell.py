"""Shell that every listed distribution understands, CentOS 7 the oldest of them. Pure."""

from __future__ import annotations

CAN_PLUS = 231
"""systemd that knows "+" before a command of a unit (its NEWS); an older one skips such a line."""


def flush(path: str) -> str:
    """Shell that brings a file to the disk. `sync FILE` came with coreutils 8.24; the path is a shell word."""
    return f"dd status=none if=/dev/null of={path} conv=notrunc,fsync"


def as_root(systemd: int | None) -> str:
    """Prefix of a unit's command that runs as root whatever the unit says; older units have no such restrictions."""
    return "+" if systemd is None or systemd >= CAN_PLUS else ""
