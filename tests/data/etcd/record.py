"""
What each release of etcd knows: its flags, those that are deprecated, and the flags of the commands that we give.

    python tests/data/etcd/record.py DIRECTORY...

Each directory has the binaries etcd, etcdctl and, from 3.5 on, etcdutl of one release, from upstream's archive or built
from the Go modules go.etcd.io/etcd/{server,etcdctl,etcdutl}/v3. Writes <minor>.json next to this file.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

COMMANDS = ("snapshot save", "snapshot restore", "snapshot status")
# etcd 3.4 says that a value of a flag will be deprecated, 'capnslog'.
DEPRECATED = re.compile(r"(?<!' will be )deprecated", re.IGNORECASE)


def said(directory: Path, command: str) -> str:
    program, *words = command.split()
    done = subprocess.run([directory / program, *words, "--help"], capture_output=True, text=True)
    return done.stdout + done.stderr


def flags(text: str) -> dict[str, str]:
    """Each flag of a help text -> what it says of it, up to the next flag or a heading."""
    parts = re.split(r"^ +(?:-\w, )?--([a-z0-9][\w-]*)", text, flags=re.MULTILINE)
    return {name: re.split(r"\n\S|\n *\n", about)[0] for name, about in zip(parts[1::2], parts[2::2], strict=True)}


def knows(directory: Path, command: str) -> list[str] | None:
    """The flags of a command; None if it is not there, for which etcdctl shows the help of the command above it."""
    if not (directory / command.split()[0]).exists():
        return None
    text = said(directory, command)
    return sorted(flags(text)) if re.search(rf"^\s*{command}\b", text, flags=re.MULTILINE) else None


def record(directory: Path) -> None:
    version = re.search(r"etcd Version: (\S+)", subprocess.check_output([directory / "etcd", "--version"], text=True))
    assert version, f"{directory}/etcd --version says no version"
    every = flags(said(directory, "etcd"))
    tools = [f"{tool} {command}" for tool in ("etcdctl", "etcdutl") for command in COMMANDS]
    found = {
        "version": version[1],
        "flags": sorted(every),
        "deprecated": sorted(name for name, text in every.items() if DEPRECATED.search(text)),
        "commands": {one: known for one in tools if (known := knows(directory, one)) is not None},
    }
    minor = version[1].rpartition(".")[0]
    Path(__file__).with_name(f"{minor}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        record(Path(argument))
