"""Docker's own packages, from a repository that a setting names."""

from __future__ import annotations

from collections.abc import Generator
from shlex import quote

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from kubeinfra.facts.machine import MachineState, MissingPackages
from kubeinfra.plan import announce

_NAMES = ["docker-ce", "docker-ce-cli", "containerd.io"]


@operation()
def docker_ce(repository: str, version: str, machine: MachineState) -> Generator[StringCommand, None, None]:
    """
    Install docker-ce; one that is there is left at its version.

    + repository: base URL, such as "https://download.docker.com"
    + version: prefix of the version, such as "20.10"; a release that the repository lacks is an error
    """
    missing: set[str] = host.get_fact(MissingPackages, names=_NAMES, family=machine.family)
    if not missing:
        host.noop("docker-ce is installed")
        return
    announce(f"install {' '.join(_NAMES)} {version} from {repository}")
    script = _debian if machine.family == "debian" else _redhat
    yield StringCommand("sh", "-ec", QuoteString(script(repository.rstrip("/"), version, machine)))


def _debian(repository: str, version: str, machine: MachineState) -> str:
    """Debian and Ubuntu; derivatives use the repository of what they are made from (ID_LIKE)."""
    base = f"{repository}/linux/{machine.distribution}"
    apt = "DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120"
    return f"""\
{apt} update
{apt} install --no-install-recommends ca-certificates curl gnupg
install -d -m 755 /etc/apt/keyrings
curl -fsSL --retry 3 --connect-timeout 10 {quote(base + "/gpg")} | gpg --dearmor --yes -o /etc/apt/keyrings/docker.gpg
. /etc/os-release
echo "deb [arch=$(dpkg --print-architecture) signed-by=/etc/apt/keyrings/docker.gpg] {base} $VERSION_CODENAME stable" \
    >/etc/apt/sources.list.d/docker.list
{apt} update
version=$(apt-cache madison docker-ce | awk '{{print $3}}' | sed -n '/:{version}/{{p;q}}')
[ -n "$version" ] || {{ echo "{base} has no docker-ce {version} for $VERSION_CODENAME; docker_version may be:" >&2
    apt-cache madison docker-ce | awk '{{print "  " $3}}' >&2; exit 1; }}
{apt} install --no-install-recommends "docker-ce=$version" "docker-ce-cli=$version" containerd.io"""


def _redhat(repository: str, version: str, machine: MachineState) -> str:
    family = "fedora" if machine.distribution == "fedora" else "centos"
    base = f"{repository}/linux/{family}"
    return f"""\
manager=$(command -v dnf || command -v yum)
cat >/etc/yum.repos.d/docker-ce.repo <<'END'
[docker-ce-stable]
name=Docker CE Stable
baseurl={base}/$releasever/$basearch/stable
enabled=1
gpgcheck=1
gpgkey={base}/gpg
END
$manager -q -y install 'docker-ce-{version}*' 'docker-ce-cli-{version}*' containerd.io"""
