"""Debian made from its packages, by this machine's own mirrors: what the lab's images start from."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lab import engine
from lab.console import Phase
from lab.process import run

SUITE = "bookworm"
# Neither manuals nor translations: half the files, and nobody reads them in a machine that lives for minutes.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")


def bootstrap(phase: Phase, packages: Sequence[str], target: Path, *options: str, suite: str = SUITE) -> None:
    """
    Debian with these packages as a tar file, or as a directory where `options` (of mmdebstrap) say so.

    mmdebstrap needs half of debootstrap's time. Needs root.
    """
    if not shutil.which("mmdebstrap"):
        engine.install_packages(phase, "mmdebstrap", "debian-archive-keyring")
    with tempfile.TemporaryDirectory() as directory:
        given = [f"--include={','.join(packages)}", *_dpkg_options(), *_apt_options(Path(directory)), *options]
        run(phase, "mmdebstrap", "--variant=minbase", *given, suite, str(target), *_own_sources(suite))


def package_names(text: str) -> list[str]:
    """One name a line; from '#' on it is a comment."""
    return [name for line in text.splitlines() if (name := line.partition("#")[0].strip())]


def sources(rows: Iterable[str], codename: str, suite: str) -> list[str]:
    """
    The package sources of a Debian machine as sources for an image: the same mirrors, the image's own suite.

    + rows: "SITE RELEASE COMPONENT", as `apt-get indextargets` prints them
    + codename: the machine's own release of Debian, such as "bookworm"; + suite: the image's
    """
    fields = [row.split() for row in rows]
    suites = {codename + kind: suite + kind for kind in ("", "-updates", "-security")}
    return [
        f"deb {site} {suites[release]} main"
        for site, release, component in fields
        if component == "main" and release in suites
    ]


def _dpkg_options() -> Iterator[str]:
    return (f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT)


def _apt_options(directory: Path) -> list[str]:
    """How this machine fetches packages (proxies above all) is how the image must."""
    settings = directory / "apt.conf"
    settings.write_text(subprocess.check_output(["apt-config", "dump", "Acquire"], text=True))
    return ["--aptopt=Apt::Install-Recommends false", f"--aptopt={settings}"]


def _own_sources(suite: str) -> list[str]:
    """None on Ubuntu: mmdebstrap knows Debian's own."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    if release.get("ID") != "debian":
        return []
    command = [
        "apt-get",
        "indextargets",
        "--format",
        "$(SITE) $(RELEASE) $(COMPONENT)",
        "Created-By: Packages",
    ]
    return sources(subprocess.check_output(command, text=True).splitlines(), release["VERSION_CODENAME"], suite)
