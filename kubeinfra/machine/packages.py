"""
Shell that installs packages of the distribution. Pure.

It waits for others who install at this moment, such as a machine's own updates after its first boot, goes on without
a repository that does not answer, and removes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from shlex import join

from kubeinfra.paths import RUN

PATIENCE = 600
"""Seconds that others may go on installing."""
UNREACHED = f"{RUN}/repositories"
"""What the last installation said about repositories that did not answer; a missing or empty file: all did."""

# POSIX locks of apt and dpkg, and that of rpm: /proc/locks has the process, by inode (proc(5)).
_LOCKS = {
    "debian": "/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock",
    "redhat": "/var/lib/rpm/.rpm.lock /usr/lib/sysimage/rpm/.rpm.lock",
}
# yum and dnf write who is at work into files.
_PIDS = {"debian": "", "redhat": "/run/yum.pid /run/dnf/*.pid /var/cache/dnf/*.pid /var/lib/dnf/*.pid"}


def nobody_installs(family: str) -> str:
    """Shell that succeeds if no other process installs packages, and else names each, and what it holds."""
    return f"""\
found=0
held() {{ echo "process $1 ($(cat "/proc/$1/comm")) holds $2"; found=1; }}
for lock in {_LOCKS[family]}; do
    [ -e "$lock" ] || continue
    # shellcheck disable=SC2013  # numbers, a line each
    for pid in $(awk -v inode="$(stat -c %i "$lock")" \\
        '$2 == "POSIX" && $4 == "WRITE" {{ split($6, at, ":"); if (at[3] == inode) print $5 }}' /proc/locks); do
        if [ -n "$(find "/proc/$pid/fd" -lname "$lock" 2>/dev/null)" ]; then held "$pid" "$lock"; fi
    done
done
for file in {_PIDS[family]}; do
    [ -s "$file" ] && pid=$(cat "$file") && [ -d "/proc/$pid" ] && held "$pid" "$file"
done
[ $found = 0 ]"""


# A lock that was taken after `nobody_installs` was asked is waited for too: the words are apt's, dpkg's, in LC_ALL=C.
_PATIENTLY = f"""\
export LC_ALL=C
deadline=$(($(date +%s) + {PATIENCE}))
patiently() {{
    until said=$("$@" 2>&1); do
        case $said in
        *"get lock"* | *"is locked"* | *"was locked"* | *"Unable to lock"* | *"Unable to acquire"*) ;;
        *) return 1 ;;
        esac
        [ "$(date +%s)" -lt $deadline ] || return 1
        sleep 2
    done
}}
mkdir -p {RUN}
: >{UNREACHED}
fail() {{ {{ echo "$said"; cat {UNREACHED}; }} >&2; exit 1; }}"""

# Finishes first what was cut off. What the deploy has written before a package came stays as it is (confold); nothing
# is removed that somebody may need.
_APT = f"""\
{_PATIENTLY}
export DEBIAN_FRONTEND=noninteractive
apt="apt-get -q -y -o DPkg::Lock::Timeout={PATIENCE} -o DPkg::Options::=--force-confold"
install="patiently $apt --no-remove install --no-install-recommends"
patiently dpkg --force-confold --configure -a || fail
# shellcheck disable=SC2086  # a command and its options
patiently $apt update || :  # what is needed may be there all the same: the installation tells
echo "$said" | sed -n '/^[EW]: /p' >{UNREACHED}"""
_DNF = f"""\
{_PATIENTLY}
manager=$(command -v dnf || command -v yum)
install="patiently $manager -q -y --setopt=*.skip_if_unavailable=1 install"
"""
SETUP = {"debian": _APT, "redhat": _DNF}
"""
Family -> shell that sets $install, a command which takes names of packages, and fail, which says why it has failed.
Afterwards `KEEP_WORDS` of the family.
"""
KEEP_WORDS = {
    "debian": ":",
    "redhat": f"""echo "$said" | sed -n '/[Ff]ailed to download metadata/p; /^Ignoring repositories/p' >{UNREACHED}""",
}


def install(family: str, names: Iterable[str]) -> str:
    """Shell, for `sh -ec`, that installs these packages."""
    return f"{SETUP[family]}\n$install {join(names)} || fail\n{KEEP_WORDS[family]}"
