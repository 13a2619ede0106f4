"""What a distribution has installed: a part of MachineFacts, so that it costs no command of its own."""

from __future__ import annotations

from collections.abc import Iterable

from kubeinfra.components.platforms import PLATFORMS
from kubeinfra.components.runtime import DATA
from kubeinfra.machine.software import Software

_CONFLICTS = " ".join(sorted({name for one in PLATFORMS.values() for name in (*one.conflicts, *one.chrony_conflicts)}))
_TOOLS = " ".join(sorted({name for platform in PLATFORMS.values() for name in platform.tools}))
# Docker's repository in apt's older files, and in its newer ones (deb822), where a stanza may be switched off.
_URL = "[a-z]+:\\/\\/[^ \\n]*\\/linux\\/(debian|ubuntu)"
_SAYS = 'print "docker-repository=" substr($0, RSTART, RLENGTH) " " FILENAME'

SOFTWARE = f"""\
[ ! -f /etc/os-release ] || (. /etc/os-release; echo "id=$ID"; echo "version=$VERSION_ID")
if [ -e /sys/kernel/security/apparmor ] && grep -qsx Y /sys/module/apparmor/parameters/enabled
then echo apparmor=yes; fi
for tool in {_TOOLS}; do
    if program=$(command -v $tool); then
        case $(readlink -f "$program") in */busybox) echo "lacks=$tool" ;; esac
    else echo "lacks=$tool"; fi
done
if command -v dpkg-query >/dev/null; then
    dpkg-query -W -f '${{db:Status-Status}} ${{Package}} ${{Version}}\\n' {_CONFLICTS} 2>/dev/null |
        sed -n 's/^installed /package=/p'
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -f "$file" ] || awk '/^deb / && match($0, /{_URL}/) {{ {_SAYS} }}' "$file"
    done
    for file in /etc/apt/sources.list.d/*.sources; do
        [ ! -f "$file" ] || awk 'BEGIN {{ RS = "" }}
            tolower($0) !~ /enabled: *(no|false|0)/ && match($0, /{_URL}/) {{ {_SAYS} }}' "$file"
    done
elif command -v rpm >/dev/null; then
    rpm -q --qf 'package=%{{NAME}} %{{VERSION}}\\n' {_CONFLICTS} 2>/dev/null | grep '^package='
    grep -slE '^mirrorlist *=.*mirrorlist\\.centos\\.org' /etc/yum.repos.d/*.repo | sed 's/^/closed-mirrors=/'
fi
for data in {" ".join(DATA)}; do
    near=$data # what is not there yet will be on the disk of the first directory above it that is
    while [ ! -e "$near" ]; do near=${{near%/*}}; near=${{near:-/}}; done
    if [ "$(stat -f -c %T "$near" 2>/dev/null)" = xfs ] &&
        xfs_info "$(df -P "$near" | awk 'END {{print $NF}}')" 2>/dev/null | grep -q 'ftype=0'
    then echo "without-ftype=$data"; fi
done"""
"""Shell that prints "key=value" lines, and succeeds or not without meaning."""


def software(output: Iterable[str]) -> Software:
    """The Software of a machine from the lines that SOFTWARE has printed; other lines do not matter."""
    found: dict[str, list[str]] = {}
    for line in output:
        key, _, value = line.partition("=")
        found.setdefault(key, []).append(value)

    def pairs(key: str) -> tuple[tuple[str, str], ...]:
        return tuple((first, second) for first, _, second in (one.partition(" ") for one in found.get(key, [])))

    return Software(
        version=found.get("version", [""])[0],
        apparmor="apparmor" in found,
        packages=pairs("package"),
        lacking=tuple(found.get("lacks", [])),
        docker_repositories=pairs("docker-repository"),
        closed_mirrors=tuple(found.get("closed-mirrors", [])),
        without_ftype=tuple(found.get("without-ftype", [])),
    )
