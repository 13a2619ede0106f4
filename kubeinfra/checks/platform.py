"""Whether a machine's distribution, and what it has installed, go with what the deploy installs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.platforms import PLATFORMS, find, in_short
from kubeinfra.findings import EXPLAINED, Finding
from kubeinfra.machine.state import MachineState

_PAGE = "docs/platforms.md"


def unlisted_distribution_is_listed(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    """Setting unlisted_distribution_as, of the cluster and of each machine, names a row of the table."""
    every = {cluster.settings_of(machine).unlisted_distribution_as for machine in cluster.machines}
    for name in sorted((every | {cluster.settings.unlisted_distribution_as}) - {None, *PLATFORMS}, key=str):
        yield (
            f"{where('unlisted_distribution_as')}: unlisted_distribution_as {name!r} is not in the table of {_PAGE}: "
            f"take one of {', '.join(PLATFORMS)}"
        )


def distribution(cluster: Cluster, machine: Machine, found: MachineState) -> Iterator[Finding]:
    """It is in the table, or treated as one that is, and installs as that does."""
    platform = find(found, cluster.settings_of(machine))
    if not found.family:
        yield Finding(
            "distribution",
            machine.name,
            "error",
            found="has neither apt-get nor dnf or yum",
            remedy="install from a Debian- or RHEL-like",
        )
    elif platform is None:
        yield _unlisted(machine, found)
    elif found.family != platform.family:
        yield Finding(
            "distribution",
            machine.name,
            "error",
            found=f"has {'apt-get' if found.family == 'debian' else 'dnf or yum'}",
            wanted=f"and {platform.name} installs with {platform.manager}",
            remedy="correct unlisted_distribution_as, or take another package manager out of PATH",
            joints=EXPLAINED,
        )


def tools(cluster: Cluster, machine: Machine, found: MachineState) -> Iterator[Finding]:
    """What looks at a machine is GNU's."""
    platform = find(found, cluster.settings_of(machine))
    if platform and found.software.lacking:
        packages = sorted({platform.tools[tool] for tool in found.software.lacking if tool in platform.tools})
        yield Finding(
            "tools",
            machine.name,
            "error",
            found=f"has no {', '.join(found.software.lacking)}, or BusyBox's",
            wanted="and the deploy needs GNU's to look at the machine",
            remedy=f"{platform.manager} install {' '.join(packages)}",
            joints=EXPLAINED,
        )


def _unlisted(machine: Machine, found: MachineState) -> Finding:
    like = "debian 12" if found.family == "debian" else "rocky 9"
    name = f"{found.distribution} {found.software.version}".strip() or "an unknown distribution"
    return Finding(
        "distribution",
        machine.name,
        "error",
        found=f"is {name}, which is none of {in_short()}",
        remedy=f"take one of these, or say in group_data/all.py, or of this machine in the inventory, which of them it "
        f'is to be treated as: unlisted_distribution_as = "{like}" ({_PAGE})',
    )


def mirrors(cluster: Cluster, machine: Machine, found: MachineState) -> Iterator[Finding]:
    """What need not fail, but will if packages are missing."""
    if files := found.software.closed_mirrors:
        yield Finding(
            "mirrors",
            machine.name,
            "warning",
            found=f"{', '.join(files)}: mirrorlist.centos.org has been shut down",
            wanted="so that no package can be had from there",
            remedy="put baseurl = http://vault.centos.org/... in place of the mirrorlist lines, or use a mirror's "
            "archive, such as https://mirrors.aliyun.com/centos-vault",
            joints=EXPLAINED,
        )
