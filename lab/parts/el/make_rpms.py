"""
Rpms under the names that the deploy asks an EL machine for, made from the files of Debian's packages.

Runs once, as root, while the image is built. The packages of a minimal installation are then installed (without files:
these are Debian's, and stay), the others are in two signed repositories, and their files are gone from the machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

OS = "/srv/rocky/9/BaseOS/x86_64/os"
OS_KEY = Path("/srv/rocky/RPM-GPG-KEY-Rocky-9")
DOCKER = "/srv/docker-ce/linux/centos/9/x86_64/stable"
DOCKER_KEY = Path("/srv/docker-ce/linux/centos/gpg")
# What a minimal installation has, with firewalld.
INSTALLED = (
    "ca-certificates", "coreutils", "curl", "dbus", "findutils", "firewalld", "gawk", "iproute", "iputils", "kmod",
    "openssl", "procps-ng", "sed", "sudo", "systemd",
)  # fmt: skip
_PROGRAMS = r"/s?bin/|/systemd/system/[^/]*$"


@dataclass(frozen=True)
class Rpm:
    """
    + debs: whose files it has; the first gives the version; + takes: which of them, a regular expression
    + moves: pattern -> replacement, for paths; + links: path -> target; + texts: path -> content
    + unit_says: pattern -> replacement, for the text of units; + user: system user that it makes
    """

    name: str
    repository: str
    debs: tuple[str, ...]
    takes: str = _PROGRAMS
    lines: str = ""
    epoch: int = 0
    moves: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    directories: tuple[str, ...] = ()
    unit_says: dict[str, str] = field(default_factory=dict)
    user: str = ""


_IPTABLES = [f"{name}{what}" for name in ("iptables", "ip6tables") for what in ("", "-save", "-restore")]
_MODULE = "/usr/lib64/nginx/modules/ngx_stream_module.so"
RPMS = (
    Rpm("conntrack-tools", OS, ("conntrack",)),
    Rpm("ethtool", OS, ("ethtool",)),
    Rpm("ipset", OS, ("ipset",)),
    Rpm("ipvsadm", OS, ("ipvsadm",), takes="/s?bin/"),
    Rpm("socat", OS, ("socat",)),
    # EL 9 has no package iptables: this one provides it.
    Rpm(
        "iptables-nft",
        OS,
        ("iptables",),
        takes="/s?bin/|/xtables/",
        lines="Provides: iptables = %{version}-%{release}",
        links={f"/usr/sbin/{name}": "xtables-nft-multi" for name in _IPTABLES},
    ),
    Rpm("keepalived", OS, ("keepalived",), directories=("/etc/keepalived",)),
    Rpm("haproxy", OS, ("haproxy",), directories=("/etc/haproxy", "/var/lib/haproxy"), user="haproxy"),
    Rpm(
        "nginx",
        OS,
        ("nginx", "nginx-common"),
        takes=f"{_PROGRAMS}|^/etc/nginx/[^/]*$",
        directories=("/var/log/nginx", "/var/lib/nginx", "/usr/share/nginx/modules"),
        user="nginx",
    ),
    Rpm(
        "nginx-mod-stream",
        OS,
        ("libnginx-mod-stream",),
        takes=r"/ngx_stream_module\.so$",
        lines="Requires: nginx",
        moves={r"^.*/ngx_stream_module\.so$": _MODULE},
        texts={"/usr/share/nginx/modules/mod-stream.conf": f'load_module "{_MODULE}";\n'},
    ),
    Rpm("docker-ce-cli", DOCKER, ("docker.io",), takes="^/usr/bin/docker$", epoch=1),
    Rpm(
        "docker-ce",
        DOCKER,
        ("docker.io",),
        takes=r"/(dockerd|docker-proxy|docker-init|docker\.(service|socket)|80-docker\.rules)$",
        lines="Requires: containerd.io\nRequires: docker-ce-cli\nRequires: iptables",
        epoch=3,
        moves={"^/usr/sbin/": "/usr/bin/"},
        unit_says={"/usr/sbin/dockerd": "/usr/bin/dockerd"},
    ),
    Rpm(
        "containerd.io",
        DOCKER,
        ("containerd", "runc"),
        lines="Conflicts: containerd\nConflicts: runc",
        moves={"^/usr/sbin/": "/usr/bin/"},
    ),
)
# Debian's are taken away, and what they were the only ones to need stays.
GOES = (*sorted({deb for rpm in RPMS for deb in rpm.debs}), "nginx-core", "tini")
_HEAD = """\
%global debug_package %{nil}
%global __os_install_post %{nil}
%global _unpackaged_files_terminate_build 0
%global _binary_payload w1.gzdio
%global _build_id_links none
Name: lab
Version: 9
Release: 1.el9
Summary: What a machine of the lab has
License: as the Debian packages
AutoReqProv: no
%description
Made from Debian's packages.
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        spec = work / "lab.spec"
        parts = [*_base(), *(_described(rpm, work) for rpm in RPMS)]
        spec.write_text(f"{_HEAD}\n%install\ncp -a {work}/files/. %{{buildroot}}/\n\n" + "\n".join(parts))
        _run(
            "rpmbuild", "-bb", "--quiet", f"--define=_topdir {work}/build", f"--target={os.uname().machine}", str(spec)
        )
        made = {path.name.rsplit("-", 2)[0]: path for path in work.glob("build/RPMS/*/*.rpm")}
        _sign(work, [made[rpm.name] for rpm in RPMS])
        for rpm in RPMS:
            Path(rpm.repository).mkdir(parents=True, exist_ok=True)
            shutil.move(made.pop(rpm.name), rpm.repository)
        for repository in (OS, DOCKER):
            _run("createrepo_c", "--quiet", repository)
        _run("rpm", "--install", "--force-debian", "--nosignature", *map(str, made.values()))
    _run("dpkg", "--purge", "--force-depends", *(deb for deb in GOES if _is_installed(deb)))


def _present(name: str, lines: str = "") -> str:
    """Names are all that the deploy asks for of these."""
    head = f"%package -n {name}\nSummary: {name}\nAutoReqProv: no\n{lines}\n"
    return f"{head}%description -n {name}\n{name}\n%files -n {name}\n"


def _base() -> list[str]:
    """From the last of them dnf takes $releasever; scripts of packages need the first."""
    release = "Version: 9.4\nProvides: system-release(releasever) = 9\nProvides: system-release = 9.4"
    return [
        _present("bash", "Provides: /bin/sh"),
        *map(_present, INSTALLED),
        _present("rocky-release", release),
    ]


def _described(rpm: Rpm, work: Path) -> str:
    """Copies its files, and gives its part of the spec file."""
    paths = sorted({*_copied(rpm, work / "files"), *rpm.links, *rpm.texts})
    for path, target in rpm.links.items():
        _place(work / "files", path).symlink_to(target)
    for path, text in rpm.texts.items():
        _place(work / "files", path).write_text(text)
    for path in rpm.directories:
        _place(work / "files", path).mkdir(exist_ok=True)
    config = ["%config(noreplace) " + path if path.startswith("/etc/") else path for path in paths]
    adds = f"getent passwd {rpm.user} >/dev/null || useradd --system --user-group --shell /sbin/nologin {rpm.user}"
    group = "getent group docker >/dev/null || groupadd --system docker"
    before = adds if rpm.user else group if rpm.name == "docker-ce" else ""
    return "\n".join([
        f"%package -n {rpm.name}",
        f"Version: {_version(rpm.debs[0])}",
        *([f"Epoch: {rpm.epoch}"] if rpm.epoch else []),
        f"Summary: {rpm.name}",
        "AutoReqProv: no",
        rpm.lines,
        f"%description -n {rpm.name}",
        rpm.name,
        *([f"%pre -n {rpm.name}", before] if before else []),
        f"%files -n {rpm.name}",
        *config,
        *(f"%dir {path}" for path in rpm.directories),
        "",
    ])  # fmt: skip


def _copied(rpm: Rpm, into: Path) -> Iterator[str]:
    for source in _listed(rpm.debs):
        if not re.search(rpm.takes, source) or (Path(source).is_dir() and not Path(source).is_symlink()):
            continue
        path = re.sub("^/(s?bin|lib)/", r"/usr/\1/", source)
        for pattern, replacement in rpm.moves.items():
            path = re.sub(pattern, replacement, path)
        target = _place(into, path)
        if target.exists() or target.is_symlink():
            continue  # runc, which Debian has twice
        shutil.copy2(source, target, follow_symlinks=False)
        for pattern, replacement in rpm.unit_says.items():
            if path.endswith(".service"):
                target.write_text(re.sub(pattern, replacement, target.read_text()))
        yield path


def _listed(debs: Iterable[str]) -> list[str]:
    found = subprocess.check_output(["dpkg", "-L", *debs], text=True).splitlines()
    return sorted(
        {path for path in found if path.startswith("/") and (Path(path).exists() or Path(path).is_symlink())},
        key=_links_last,
    )


def _links_last(path: str) -> tuple[bool, str]:
    return Path(path).is_symlink(), path


def _place(root: Path, path: str) -> Path:
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _version(deb: str) -> str:
    version = subprocess.check_output(["dpkg-query", "-W", "-f", "${Version}", deb], text=True)
    found = re.search(r"^(?:\d+:)?([\d.]+)", version)
    assert found, f"{deb} has version {version}"
    return found[1].rstrip(".")


def _is_installed(deb: str) -> bool:
    return subprocess.run(["dpkg-query", "-W", deb], capture_output=True).returncode == 0


def _sign(work: Path, rpms: Iterable[Path]) -> None:
    keys = work / "keys"
    keys.mkdir(mode=0o700)
    os.environ["GNUPGHOME"] = str(keys)
    _run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "lab", "rsa3072", "sign", "never")
    for file in (OS_KEY, DOCKER_KEY):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(subprocess.check_output(["gpg", "--armor", "--export"]))
    _run("rpmsign", "--define=_gpg_name lab", "--define=__gpg /usr/bin/gpg", "--addsign", *map(str, rpms))
    _run("gpgconf", "--kill", "all")


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
