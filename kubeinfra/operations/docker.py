"""Docker's own packages, at the version that goes with the Kubernetes release."""

from __future__ import annotations

import json
from collections.abc import Generator
from shlex import quote

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from kubeinfra.components.runtime.docker import CE_PACKAGES
from kubeinfra.facts.machine import MissingPackages
from kubeinfra.machine.packages import KEEP_WORDS, SETUP, UNREACHED
from kubeinfra.operations.system import nobody_else_installs, tell_unreached
from kubeinfra.run.plan import announce


@operation()
def docker_ce(repository: str, version: str | None, below: int, family: str) -> Generator[StringCommand, None, None]:
    """
    Install docker-ce; one that is there is left at its version.

    + repository: its URL, for messages: the package manager has it already
    + version: prefix of the version, such as "24.0"; None: the newest of a major release below `below`
    """
    missing: set[str] = host.get_fact(MissingPackages, names=list(CE_PACKAGES), family=family)
    if not missing:
        host.noop("docker-ce is installed")
        return
    announce(f"install {' '.join(CE_PACKAGES)} {version or f'below {below}'} from {repository}")
    yield nobody_else_installs(family)
    yield StringCommand("sh", "-ec", QuoteString(_script(repository, version, below, family)))
    tell_unreached()


def _script(repository: str, version: str | None, below: int, family: str) -> str:
    wanted = f"index(v, {json.dumps(version)}) == 1" if version else f"v + 0 < {below}"
    listing, joint, keep = _VERSIONS[family]
    return f"""\
{SETUP[family]}
repository={quote(repository)}
versions=$({listing})
version=$(echo "$versions" | awk '{{v = $1; sub(/^[0-9]*:/, "", v); if ({wanted}) found = $1}} END {{print found}}')
[ -n "$version" ] || {{ {{ echo "$repository has no docker-ce {version or f"below {below}"};" \\
    "docker_version may be the beginning of one of: $versions"; cat {UNREACHED}; }} >&2; exit 1; }}
{keep}
$install "docker-ce{joint}$version" "docker-ce-cli{joint}$version" containerd.io || fail
{KEEP_WORDS[family]}"""


# How each family lists the versions of docker-ce (oldest first), names a version, keeps to it.
_VERSIONS = {
    "debian": (
        "apt-cache madison docker-ce | awk '{print $3}' | tac",
        "=",
        # An upgrade of the system would bring a Docker that this Kubernetes cannot speak to. Below 1000 nothing is ever
        # downgraded (apt_preferences(5)). Before it is installed: a run that is cut off then finds the packages, and
        # asks no more.
        """\
printf '%s\\n' "Package: docker-ce docker-ce-cli" "Pin: version $version" "Pin-Priority: 999" \
    >/etc/apt/preferences.d/kubeinfra-docker""",
    ),
    "redhat": (
        "$manager -q --setopt=*.skip_if_unavailable=1 list --showduplicates docker-ce | "
        "awk '/^docker-ce/ {sub(/^[0-9]+:/, \"\", $2); print $2}'",
        "-",
        "",  # dnf and yum hold nothing back by themselves
    ),
}
