"""Snapshots on a machine."""

from __future__ import annotations

from shlex import quote

from pyinfra.api import FactBase


class Digest(FactBase[str]):
    """SHA-256 of a file, in hex; "" if it does not exist. + path: the file"""

    default = str

    def command(self, path: str) -> str:
        return f"[ ! -f {quote(path)} ] || sha256sum <{quote(path)}"

    def process(self, output: list[str]) -> str:
        return output[0].split()[0]
