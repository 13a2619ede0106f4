"""What a machine's distribution has installed, as preflight found it (`kubeinfra/facts/software.py`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Software:
    """
    What matters of the distribution and its packages before anything is installed.

    + version: VERSION_ID of /etc/os-release
    + apparmor: whether the kernel has AppArmor on
    + packages: installed packages that docker-ce or chrony conflicts with -> version
    + lacking: programs that preflight needs and that are missing, or BusyBox's in place of GNU's
    + docker_repositories: URLs of Docker's repository that apt uses already, down to the distribution -> the file
    + closed_mirrors: files of yum that name mirrors which have been shut down
    + without_ftype: those of the container runtimes' directories that are, or would be, on an xfs without file types,
      which cannot hold overlay2's layers
    """

    version: str = ""
    apparmor: bool = False
    packages: tuple[tuple[str, str], ...] = ()
    lacking: tuple[str, ...] = ()
    docker_repositories: tuple[tuple[str, str], ...] = ()
    closed_mirrors: tuple[str, ...] = ()
    without_ftype: tuple[str, ...] = ()
