"""Shell that every listed distribution understands, CentOS 7 the oldest of them. Pure."""

from __future__ import annotations


def flush(path: str) -> str:
    """Shell that brings a file to the disk. `sync FILE` came with coreutils 8.24; the path is a shell word."""
    return f"dd status=none if=/dev/null of={path} conv=notrunc,fsync"
