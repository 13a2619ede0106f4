"""Docker's own packages, from a repository that a setting names."""

from __future__ import annotations

import json
from collections.abc import Generator
from shlex import quote

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from kubeinfra.facts.machine import MissingPackages
from kubeinfra.machine.state import MachineState
from kubeinfra.operations.system import APT
from kubeinfra.run.plan import announce

_NAMES = ["docker-ce", "docker-ce-cli", "containerd.io"]


@operation()
def docker_ce(
    repository: str, version: str | None, below: int, machine: MachineState
) -> Generator[StringCommand, None, None]:
    """
    Install docker-ce; one that is there is left at its version.

    + repository: base URL, such as "https://download.docker.com"
    + version: prefix of the version, such as "24.0"; None: the newest of a major release below `below`
    """
    missing: set[str] = host.get_fact(MissingPackages, names=_NAMES, family=machine.family)
    if not missing:
        host.noop("docker-ce is installed")
        return
    announce(f"install {' '.join(_NAMES)} {version or f'below {below}'} from {repository}")
    add_repository, listing, join_version, keep = _DEBIAN if machine.family == "debian" else _REDHAT
    distribution = machine.distribution if machine.family == "debian" or machine.distribution == "fedora" else "centos"
    base = f"{repository.rstrip('/')}/linux/{distribution}"
    wanted = f"index(v, {json.dumps(version)}) == 1" if version else f"v + 0 < {below}"
    script = f"""\
base={quote(base)}
{add_repository}
versions=$({listing})
version=$(echo "$versions" | awk '{{v = $1; sub(/^[0-9]*:/, "", v); if ({wanted}) found = $1}} END {{print found}}')
[ -n "$version" ] || {{ echo "$base has no docker-ce {version or f"below {below}"};" \\
    "docker_version may be the beginning of one of: $versions" >&2; exit 1; }}
{keep}
$install "docker-ce{join_version}$version" "docker-ce-cli{join_version}$version" containerd.io"""
    yield StringCommand("sh", "-ec", QuoteString(script))


# How each family adds the repository, lists the versions of docker-ce (oldest first), names a version, keeps to it.
_DEBIAN = (
    f"""\
{APT}
install="$apt install --no-install-recommends"
$install ca-certificates curl gnupg
install -d -m 755 /etc/apt/keyrings
curl -fsSL --retry 3 --connect-timeout 10 "$base/gpg" | gpg --dearmor --yes -o /etc/apt/keyrings/docker.gpg
chmod 644 /etc/apt/keyrings/docker.gpg
. /etc/os-release
signed="arch=$(dpkg --print-architecture) signed-by=/etc/apt/keyrings/docker.gpg"
echo "deb [$signed] $base $VERSION_CODENAME stable" >/etc/apt/sources.list.d/docker.list
$apt update""",
    "apt-cache madison docker-ce | awk '{print $3}' | tac",
    "=",
    # An upgrade of the system would bring a Docker that this Kubernetes cannot speak to. Below 1000 nothing is ever
    # downgraded (apt_preferences(5)). Before it is installed: a run that is cut off then finds the packages, and asks
    # no more.
    """\
printf '%s\\n' "Package: docker-ce docker-ce-cli" "Pin: version $version" "Pin-Priority: 999" \
    >/etc/apt/preferences.d/kubeinfra-docker""",
)
_REDHAT = (
    """\
manager=$(command -v dnf || command -v yum)
install="$manager -q -y install"
cat >/etc/yum.repos.d/docker-ce.repo <<END
[docker-ce-stable]
name=Docker CE Stable
baseurl=$base/\\$releasever/\\$basearch/stable
enabled=1
gpgcheck=1
gpgkey=$base/gpg
END""",
    "$manager -q list --showduplicates docker-ce | awk '/^docker-ce/ {sub(/^[0-9]+:/, \"\", $2); print $2}'",
    "-",
    "",  # dnf and yum hold nothing back by themselves
)
