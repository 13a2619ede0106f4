"""SSH keys: the one that opens all machines, and each machine's own, which it keeps when it is created again."""

from __future__ import annotations

import os
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from lab.names import LAB

LOGIN_KEY = LAB / "id_ed25519"
KNOWN_HOSTS = LAB / "known_hosts"


def login_key() -> str:
    """Public half of the key for root and operator, as a line of authorized_keys."""
    return _provide(LOGIN_KEY)


def host_key(machine: str) -> tuple[bytes, str]:
    """A machine's own key: the private half in OpenSSH's format, the public one as `ssh-ed25519 AAAA...`."""
    path = LAB / "host_keys" / machine / "ssh_host_ed25519_key"
    public = _provide(path)
    return path.read_bytes(), public


def write_known_hosts(machines: Iterable[tuple[str, IPv4Address]]) -> None:
    """A known_hosts of the lab's own, by name and address, so that nobody's ~/.ssh learns of it."""
    lines = [f"{name},{address} {host_key(name)[1]}\n" for name, address in machines]
    KNOWN_HOSTS.write_text("".join(lines))


def _provide(path: Path) -> str:
    """Make the pair if it is not there; gives the public half. Readable by its owner only from birth."""
    public = path.with_name(path.name + ".pub")
    if not public.exists():  # written last
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = Ed25519PrivateKey.generate()
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        public.write_bytes(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n")
    return public.read_text().strip()
