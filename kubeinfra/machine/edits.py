"""Files of which only a part is ours: present text -> text with our part corrected. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO

from kubeinfra.cluster.cluster import Cluster

HOSTS_BEGIN = "# kubeinfra: begin (the machines of the cluster; lines outside are yours)"
HOSTS_END = "# kubeinfra: end"


def sysctl_conf(keys: dict[str, str]) -> str:
    return "# Written by kubeinfra: setting extra_sysctls adds to it.\n" + "".join(
        f"{key} = {value}\n" for key, value in keys.items()
    )


MODULES_MARK = "# Loaded at boot for Kubernetes, written by kubeinfra.\n"
"""First line of a list of kernel modules that this project has written."""


def modules_conf(names: Iterable[str]) -> str:
    return MODULES_MARK + "".join(f"{name}\n" for name in names)


def hosts_file(text: str, cluster: Cluster) -> str:
    """/etc/hosts with our block: in its old place, or at the end; all other lines stay."""
    block = f"{HOSTS_BEGIN}\n{cluster.hosts_lines}{HOSTS_END}\n"
    lines = _lines(text if not text or text.endswith("\n") else f"{text}\n")
    begin, end = _block(lines)
    return "".join([*lines[:begin], block, *lines[end:]])


def _block(lines: list[str]) -> tuple[int, int]:
    """First line of our block, and the line after it; a begin or an end without its other half is an ordinary line."""
    begin = None
    for number, line in enumerate(lines):
        if line == f"{HOSTS_BEGIN}\n":
            begin = number
        elif line == f"{HOSTS_END}\n" and begin is not None:
            return begin, number + 1
    return len(lines), len(lines)


_NO_SWAP = "# kubeinfra: no swap under Kubernetes: "


def fstab_without_swap(text: str) -> str:
    """fstab with each line of type swap turned into a comment (fstab(5): the third field)."""
    return "".join(f"{_NO_SWAP}{line}" if _is_swap(line) else line for line in _lines(text))


def fstab_swap_lines(text: str) -> str:
    """Only the swap lines, commented or not: another line may have the password of a network drive."""
    return "".join(line for line in _lines(text) if _is_swap(line) or line.startswith(_NO_SWAP))


def _is_swap(line: str) -> bool:
    fields = line.split()
    return len(fields) >= 3 and not fields[0].startswith("#") and fields[2] == "swap"


def selinux_config(text: str) -> str:
    """/etc/selinux/config with SELINUX=permissive instead of enforcing; disabled stays disabled."""
    return "".join("SELINUX=permissive\n" if line.strip() == "SELINUX=enforcing" else line for line in _lines(text))


def resolv_conf_for_pods(text: str) -> str:
    """The machine's resolv.conf without servers on the machine itself: a pod's loopback is its own."""
    return "".join(line for line in _lines(text) if not _is_local_server(line) and not line.startswith(("#", ";")))


def has_local_resolver(text: str) -> bool:
    return any(_is_local_server(line) for line in _lines(text))


def has_resolver_for_pods(text: str) -> bool:
    """Whether it names a server that pods can reach; they have no IPv6."""
    return any(_is_server(line) and not _is_local_server(line) and "." in line for line in _lines(text))


def with_servers(text: str, servers: Iterable[str]) -> str:
    """A resolv.conf with these name servers more."""
    ended = text if not text or text.endswith("\n") else f"{text}\n"
    return ended + "".join(f"nameserver {server}\n" for server in servers)


def _is_server(line: str) -> bool:
    fields = line.split()
    return len(fields) >= 2 and fields[0] == "nameserver"


def _is_local_server(line: str) -> bool:
    """0.0.0.0 is the machine itself, too."""
    return _is_server(line) and (line.split()[1].startswith(("127.", "0.")) or line.split()[1] == "::1")


def _lines(text: str) -> list[str]:
    """Lines with their ends, as the programs that read these files see them: str.splitlines splits at more places."""
    return list(StringIO(text))
