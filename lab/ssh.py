"""Into a machine as root, with the lab's key; the machine's own key must be the known one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

import paramiko

from kubeinfra.errors import KubeinfraError
from lab import keys

# What it says there it raises as well; while a machine boots that is no news.
logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)
ERRORS = (OSError, paramiko.SSHException, EOFError)


def command(address: IPv4Address, *remote: str) -> list[str]:
    """The command line of OpenSSH's client for a login, or for a command there."""
    options = ["-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={keys.KNOWN_HOSTS}"]
    return ["ssh", "-i", str(keys.LOGIN_KEY), *options, f"root@{address}", *remote]


def refusal(address: IPv4Address) -> str:
    """Why root cannot log in with the lab's key; empty if root can."""
    try:
        with _connected(address):
            return ""
    except ERRORS as error:
        return str(error) or type(error).__name__


def run(address: IPv4Address, script: str, *arguments: str, timeout: float) -> tuple[int, str]:
    """
    Run a shell script there -> exit code, and all that it said.

    + timeout: seconds without a word of it; then, and if the connection breaks: one of ERRORS
    """
    with _connected(address) as client:
        given, said, _ = client.exec_command(" ".join(["sh -s --", *arguments, "2>&1"]), timeout=timeout)
        with given:  # closed, it is the end of the script
            given.write(script.encode())
        text = said.read().decode(errors="replace")
        return said.channel.recv_exit_status(), text.strip()


@contextmanager
def _connected(address: IPv4Address) -> Iterator[paramiko.SSHClient]:
    client = paramiko.SSHClient()
    client.load_host_keys(str(keys.KNOWN_HOSTS))
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    with client:
        client.connect(
            str(address),
            22,
            "root",
            key_filename=str(keys.LOGIN_KEY),
            timeout=5,
            banner_timeout=30,
            auth_timeout=30,
            allow_agent=False,
            look_for_keys=False,
        )
        yield client


def refused(machine: str, reason: str) -> KubeinfraError:
    """What to do about a machine that does not take the lab's key."""
    return KubeinfraError(
        f"{machine} refuses root's login with {keys.LOGIN_KEY}: {reason}; "
        "if the machines are of another lab or older than the keys, run `python -m lab up --fresh`"
    )
