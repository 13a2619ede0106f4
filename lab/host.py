"""
The machine that the engine runs on: what the lab's machines could do to it, and what is done against that.

They share its kernel, so settings of the whole kernel are saved before the first of them starts and put back at
the end. And they route through it: a request to a service or pod address that no NAT rule catches would follow
the default route into other people's networks, so such addresses are made a dead end while the lab is up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from pathlib import Path

from kubeinfra.atomic import write_whole
from kubeinfra.errors import KubeinfraError
from lab.docker import docker
from lab.names import BRIDGE, OWN

# Any number that no routing daemon uses (/etc/iproute2/rt_protos): marks the routes as the lab's.
ROUTE_PROTOCOL = "207"
# Of the whole kernel, not of a namespace; sysctl(8) takes a regular expression.
GLOBAL_SYSCTLS = (
    r"^(vm\.|fs\.(aio-max-nr|file-max|inotify|nr_open|protected|suid_dumpable)"
    r"|kernel\.(core_|keys|panic|pid_max|printk|sysrq|threads-max)|net\.netfilter\.nf_conntrack_max$)"
)
# One systemd uses about ten, and root is one user in all machines together; the usual limit is 128.
INOTIFY_INSTANCES = 8192


def protect(image: str, dead_ends: Iterable[IPv4Network], saved: Path) -> None:
    """Save the kernel's settings in the file `saved`, unless it is there, and make these networks a dead end."""
    if not saved.exists():
        _save(image, saved)
        _on_host(image, "sysctl", "-q", "-w", f"fs.inotify.max_user_instances={INOTIFY_INSTANCES}")
    _on_host(image, "ip", "-batch", "-", stdin=_batch(dead_ends))


def restore(image: str, saved: Path) -> list[str]:
    """Undo `protect`; gives the settings that had to be put back, as `key=value`."""
    _on_host(image, "ip", "route", "flush", "proto", ROUTE_PROTOCOL)
    if not saved.exists():
        return []
    different = changed(saved.read_text(), _sysctls(image))
    if different:
        _on_host(image, "sysctl", "-q", "-w", *different)
    saved.unlink()
    return different


def require_free(image: str, networks: Mapping[str, IPv4Network]) -> None:
    """
    KubeinfraError if the engine's host has routes of its own into one of the networks: the lab would cut them off.

    + networks: where it is written -> network, such as "service_cidr"
    """
    table = json.loads(_on_host(image, "ip", "-json", "route"))
    problems = [
        f"{where} {network} overlaps {route['dst']} on {route.get('dev', 'this machine')}, which this machine "
        "itself uses and the lab would cut off: choose another network"
        for where, network in networks.items()
        for route in overlapping(table, network)
    ]
    if problems:
        raise KubeinfraError(*problems)


def overlapping(table: Iterable[Mapping[str, str]], network: IPv4Network) -> list[Mapping[str, str]]:
    """
    The routes into a part of this network, default route and the lab's own left out.

    + table: what `ip -json route` prints
    """
    return [
        route
        for route in table
        if route["dst"] != "default"
        and route.get("protocol") != ROUTE_PROTOCOL
        and route.get("dev") != BRIDGE
        and IPv4Network(route["dst"]).overlaps(network)
    ]


def changed(before: str, now: str) -> list[str]:
    """What must be written to get from one `sysctl -a` to an earlier one: `key=value`."""
    present = _parsed(now)
    return [f"{key}={value}" for key, value in _parsed(before).items() if present.get(key, value) != value]


def _parsed(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def _save(image: str, saved: Path) -> None:
    write_whole(saved, _sysctls(image) + "\n")


def _sysctls(image: str) -> str:
    return _on_host(image, "sysctl", "-a", "-r", GLOBAL_SYSCTLS)


def _batch(dead_ends: Iterable[IPv4Network]) -> bytes:
    return "".join(f"route replace blackhole {network} proto {ROUTE_PROTOCOL}\n" for network in dead_ends).encode()


def _on_host(image: str, *command: str, stdin: bytes = b"") -> str:
    """In a container with the host's network and kernel: right for a remote engine too, and needs no root."""
    options = ["--rm", "--interactive", "--privileged", "--network=host", "--pid=host", f"--label={OWN}"]
    return docker("run", *options, image, *command, stdin=stdin)
