"""Packages of Docker's repository, at the version that goes with the Kubernetes release."""

from __future__ import annotations

import json
from collections.abc import Generator
from shlex import quote

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from kubeinfra.components.runtime.docker_repository import Packages
from kubeinfra.facts.machine import MissingPackages
from kubeinfra.machine.packages import KEEP_WORDS, SETUP, UNREACHED
from kubeinfra.operations.system import nobody_else_installs, tell_unreached
from kubeinfra.releases.versions import written
from kubeinfra.run.plan import announce


@operation()
def from_docker(packages: Packages, repository: str, family: str) -> Generator[StringCommand, None, None]:
    """
    Install packages of Docker's repository; what is there is left at its version.

    + repository: its URL, for messages: the package manager has it already; + family: "debian" or "redhat"
    """
    every = [*packages.names, *packages.others]
    missing: set[str] = host.get_fact(MissingPackages, names=every, family=family)
    if not missing:
        host.noop(f"{packages.names[0]} is installed")
        return
    announce(f"install {' '.join(every)} {_wanted(packages)} from {repository}")
    yield nobody_else_installs(family)
    yield StringCommand("sh", "-ec", QuoteString(_script(packages, repository, family)))
    tell_unreached()


def _wanted(packages: Packages) -> str:
    return packages.version or f"below {written(packages.below)}"


def _script(packages: Packages, repository: str, family: str) -> str:
    number = "n[1] * 1000 + n[2]"
    fits = f"{number} >= {_number(packages.first)} && {number} < {_number(packages.below)}"
    if packages.version:
        fits += f" && index(v, {json.dumps(packages.version)}) == 1"
    listing, joint, keep = _VERSIONS[family]
    pinned = " ".join(f'"{name}{joint}$version"' for name in packages.names)
    return f"""\
{SETUP[family]}
repository={quote(repository)}
name={packages.names[0]}
versions=$({listing})
version=$(echo "$versions" |
    awk '{{v = $1; sub(/^[0-9]*:/, "", v); split(v, n, "."); if ({fits}) found = $1}} END {{print found}}')
[ -n "$version" ] || {{ {{ echo "$repository has no $name {_wanted(packages)};" \\
    "{packages.choice} $versions"; cat {UNREACHED}; }} >&2; exit 1; }}
{keep.format(names=" ".join(packages.names), file=packages.preferences)}
$install {pinned} {" ".join(packages.others)} || fail
{KEEP_WORDS[family]}"""


def _number(release: tuple[int, ...]) -> int:
    """Of its first two numbers, as the script counts."""
    major, minor = (*release, 0)[:2]
    return major * 1000 + minor


# How each family lists the versions of $name (oldest first), names a version, keeps to it.
_VERSIONS = {
    "debian": (
        "apt-cache madison $name | awk '{print $3}' | tac",
        "=",
        # An upgrade of the system would bring one that does not go with this Kubernetes. Below 1000 nothing is ever
        # downgraded (apt_preferences(5)). Before it is installed: a run that is cut off then finds the packages, and
        # asks no more.
        """\
printf '%s\\n' "Package: {names}" "Pin: version $version" "Pin-Priority: 999" \\
    >{file}""",
    ),
    "redhat": (
        "$manager -q --setopt=*.skip_if_unavailable=1 list --showduplicates $name | "
        "awk -v name=$name 'index($0, name) == 1 {sub(/^[0-9]+:/, \"\", $2); print $2}'",
        "-",
        "",  # dnf and yum hold nothing back by themselves
    ),
}
