"""
The project's own command line on machines that do not exist: pyinfra's @fake connector answers for them.

A simulated machine answers each fact with canned lines, and everything else with success and silence, which our
facts read as "nothing is there": a bare machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from kubeinfra.components.platforms import Platform, listed
from kubeinfra.pki.ca import CA
from kubeinfra.pki.spec import CertificateSpec
from tests.sent import Sent, read, recording

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("deploy.py", "inventory.py", "config.py", "day2", "group_data", "kubeinfra", "tasks", "templates", "files")
GROUPS = ("master", "node", "etcd", "lb")
RELEASE: str = runpy.run_path(str(ROOT / "group_data/all.py"))["kubernetes_version"]
"""What the project's own settings deploy."""
PYINFRA = Path(sys.executable).with_name("pyinfra")

# What each distribution's machine says of itself; see kubeinfra.facts.machine.MachineFacts.
DEBIAN = {
    "uid": "0",
    "arch": "x86_64",
    "systemd": "252",
    "family": "debian",
    "id": "debian",
    "version": "12",
    "resolv": b64encode(b"nameserver 192.168.80.1").decode(),
}
RED_HAT = {**DEBIAN, "family": "redhat", "id": "rocky", "version": "9.4"}

# A part of each fact's command that no other command has.
MACHINE, SYSTEM, ADDRESSES = "uid=$(id -u)", "hostname=$(cat", "ip -o -4 addr show"
AWAITED = "if said=$(sh -c"

CENTOS_7 = {
    **RED_HAT,
    "id": "centos",
    "version": "7",
    "systemd": "219",
    **dict.fromkeys(("survey kernel 3.10.0-1160.el7.x86_64", "survey ip-vs yes"), ""),
}
# What a bare machine has of the packages that are asked for.
INSTALLED = {
    *("ca-certificates", "dbus", "iproute", "iproute2", "iputils", "iputils-ping", "procps", "procps-ng"),
}


def lacking(platform: Platform) -> dict[str, list[str]]:
    """Packages as they are asked for together -> those that a bare machine lacks."""
    together = [
        *([*platform.host, *one] for one in ([], ["chrony"], platform.apparmor, [*platform.apparmor, "chrony"])),
        ["docker-ce", "docker-ce-cli", "containerd.io"],
        platform.docker,
        platform.ipvs,
        platform.nftables,
        *([*engine, *platform.load_balancer] for engine in (platform.nginx_packages, ["haproxy"])),
        platform.etcd,
    ]
    return {
        f"for name in {' '.join(names)};": [name for name in names if name not in INSTALLED]
        for names in together
        if names
    }


@dataclass(frozen=True)
class Machine:
    """One machine of a simulated inventory; `answers`: part of a command -> lines, in place of the usual ones."""

    name: str
    address: str
    groups: str
    says: Mapping[str, str] = field(default_factory=lambda: DEBIAN)
    answers: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    def trusting(self, ca: str, pem: str) -> Machine:
        """The same machine with a CA's certificate on it."""
        return replace(self, says={**self.says, f"ca={ca} {b64encode(pem.encode()).decode()}": ""})

    def seen(self, *lines: str) -> Machine:
        """The same machine with these lines in its answer to preflight; "survey " begins those of its survey."""
        return replace(self, says={**self.says, **dict.fromkeys(lines, "")})

    def joined(self, days: int = 300) -> Machine:
        """A node with its kubelet's certificate, which ends so many days from now; a negative number: it has ended."""
        spec = CertificateSpec(f"system:node:{self.address}", "client", "system:nodes")
        now = datetime(2000, 1, 1, tzinfo=UTC) if days < 0 else datetime.now(UTC)
        pem = CA.create("kubernetes-ca", 1, now).issue(spec, abs(days), now).certificate_pem
        return self.seen(f"survey kubelet-certificate {b64encode(pem.encode()).decode()}")

    def line(self) -> str:
        """Its line in inventory.py."""
        platform = listed(self.says.get("id", ""), self.says.get("version", ""))
        usual = {
            **(lacking(platform) if platform else {}),
            MACHINE: [f"{key}={value}" if value else key for key, value in self.says.items()],
            SYSTEM: ["hostname=bare", "module=overlay loadable", "sysctl=net.ipv4.ip_forward 0"],
            ADDRESSES: ["address=lo 127.0.0.1/8", f"address=eth0 {self.address}/24"],
            AWAITED: ["yes"],
        }
        answers = {**usual, **self.answers}
        data = {"hostname": self.name, "address": self.address, "fake_responses": answers, **self.data}
        return f"    ({f'@fake/{self.name}'!r}, {data!r}),\n"


def inventory_of(machines: Iterable[Machine]) -> str:
    every = list(machines)
    text = "machines = [\n" + "".join(machine.line() for machine in every) + "]\n"
    for group in GROUPS:
        members = [f"@fake/{machine.name}" for machine in every if group in machine.groups.split()]
        text += f"{group} = {members!r}\n"
    return text


def guide() -> list[Machine]:
    """The machines of the project's own inventory.py, bare."""
    real = runpy.run_path(str(ROOT / "inventory.py"))
    return [
        Machine(name, data["ssh_hostname"], " ".join(group for group in GROUPS if name in real[group]))
        for name, data in real["machines"]
    ]


@dataclass(frozen=True)
class Operation:
    """One step of all hosts that take part in it; `args`: what pyinfra shows of an operation without a name."""

    name: str
    hosts: tuple[str, ...]
    """Of a plan: where it would change something; of a run: everybody who took part."""
    args: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ran:
    """What one call of pyinfra printed."""

    code: int
    out: str
    err: str

    @cached_property
    def document(self) -> dict[str, Any]:
        assert self.code == 0, self.err
        found: dict[str, Any] = json.loads(self.out)
        return found

    @cached_property
    def operations(self) -> list[Operation]:
        """In order; names without the simulation's own prefix."""
        if self.document["results"] is None:
            return [_operation(entry, entry["hosts_with_change"]) for entry in self.document["plan"]]
        done = self.document["results"]["operations"]
        assert not [entry for entry in done if entry["error"]]
        return [_operation(entry, [*entry["success"], *entry["no_change"]]) for entry in done]

    @property
    def names(self) -> list[str]:
        return [operation.name for operation in self.operations]

    def hosts(self, name: str) -> tuple[str, ...]:
        """Of the operation with this name; the test fails where there is none."""
        assert name in self.names, f"no operation {name}"
        return tuple(host for operation in self.operations if operation.name == name for host in operation.hosts)

    def said(self, host: str = "") -> list[str]:
        """With -v: the sentences that were told, of one host or of all, without what surrounds them."""
        _, _, prepared = self.err.partition("--> Preparing operation files...")
        found = re.findall(r"^ *\[@fake/([^\]]+)\] +(.*)$", prepared, flags=re.MULTILINE)
        theirs = ("noop: ", "Loaded fact ")  # pyinfra's own
        return [sentence for name, sentence in found if host in ("", name) and not sentence.startswith(theirs)]

    @cached_property
    def questions(self) -> dict[str, Counter[str]]:
        """
        Of a run with --debug: component -> host -> how many facts it asked for before it changed anything.

        Each is one command, and an operation that finds all as wanted runs no other.
        """
        asked: dict[str, Counter[str]] = defaultdict(Counter)
        component, commands, facts = "preflight", Counter[str](), Counter[str]()
        for line in self.err.splitlines():
            if started := re.match(r"--> Starting operation: (.*?)(?: \| .*)?$", line):
                component, commands, facts = started[1], Counter(), Counter()
            elif command := re.search(r"simulating command on @fake/(\S+): ", line):
                commands[command[1]] += 1
            elif loaded := re.search(r"\[@fake/(\S+)\]\s+Loaded fact ", line):
                facts[loaded[1]] += 1
                asked[component][loaded[1]] += facts[loaded[1]] == commands[loaded[1]]
        return asked

    @property
    def commands(self) -> list[str]:
        """Of a run with --debug: first line of each command that a machine got."""
        return re.findall(r"\[fake\] simulating command on \S+: (.*)$", self.err, flags=re.MULTILINE)

    @property
    def message(self) -> list[str]:
        """The lines of the message that ended it; the test fails where it is not one clear message."""
        assert self.code != 0, "it went through"
        assert "Traceback" not in self.err + self.out, self.err
        _, found, rest = self.err.partition("--> pyinfra error in ")
        assert found, self.err
        lines = [_plain(line) for line in rest.splitlines()[1:] if line]
        return [line for line in lines if not line.startswith("failed in ")]  # the last line of a run


def _plain(text: str) -> str:
    return text.replace("@fake/", "")


def _operation(entry: Mapping[str, Any], hosts: Iterable[str]) -> Operation:
    return Operation(_plain(" + ".join(entry["names"])), _hosts(hosts), tuple(entry["args"]))


def _hosts(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(_plain(name) for name in names))


class Project:
    """A copy of the project in a directory of its own, with a controller's home next to it."""

    timeout = 120  # seconds that a run may take

    def __init__(self, directory: Path) -> None:
        self.directory, self.home = directory / "project", directory / "home"
        self.directory.mkdir(parents=True)
        self.home.mkdir()
        for part in PARTS:
            source, target = ROOT / part, self.directory / part
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        with (self.directory / "config.py").open("a") as config:
            config.write(recording(self._record))

    @property
    def sent(self) -> list[Sent]:
        """Every command of this project's runs and plans so far, whole."""
        return read(self._record)

    @property
    def _record(self) -> Path:
        parent = self.directory.parent  # not in it: `files` are the controller's
        return parent.with_name(f"{parent.name}.record")

    def pyinfra(self, machines: Iterable[Machine], *arguments: str, file: str = "deploy.py", **settings: object) -> Ran:
        """`pyinfra inventory.py <file>` with these arguments; settings are written as a user would."""
        self.write(machines)
        for name, value in settings.items():
            # The project's own group_data/lb.py has this one already.
            self._write("lb.py" if name == "virtual_ip" else "all.py", f"{name} = {value!r}\n")
        return self.run(*arguments, "inventory.py", file)

    def plan(self, machines: Iterable[Machine], *arguments: str, file: str = "deploy.py", **settings: object) -> Ran:
        return self.pyinfra(machines, "--dry", "--json", "-v", *arguments, file=file, **settings)

    def files(self) -> dict[str, str]:
        """Every file of the controller -> its digest; Python's own caches are nobody's business."""
        return {
            str(path.relative_to(self.directory.parent)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.directory.parent.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }

    def write(self, machines: Iterable[Machine]) -> None:
        (self.directory / "inventory.py").write_text(inventory_of(machines))

    def _write(self, file: str, line: str) -> None:
        with (self.directory / "group_data" / file).open("a") as text:
            text.write(line)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONPATH": str(self.directory),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYINFRA_FAKE_DELAY": "0",
            "PYINFRA_FAKE_DELAY_JITTER": "0",
            "PYINFRA_PROGRESS": "off",
            "COLUMNS": "200",
        }

    def run(self, *arguments: str) -> Ran:
        """pyinfra with these arguments, as they are."""
        ran = subprocess.run(
            [PYINFRA, *arguments],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self.timeout,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)
