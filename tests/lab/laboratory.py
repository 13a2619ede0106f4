"""The lab's machines, a controller of its own that deploys to them, and the means to look at both from outside."""

from __future__ import annotations

import json
import os
import runpy
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from invocation import Invocation, invoke

from kubeinfra.atomic import whole_path
from lab.engine import HOME
from lab.host import GLOBAL_SYSCTLS
from lab.names import LABEL, NAME
from lab.vm.machines import HOME as VIRTUAL

PROJECT = Path(__file__).resolve().parents[2]
# Not under /tmp: what a controller keeps are keys. `.lab/` is git-ignored, and its owner's only.
SAVED_SYSCTLS = HOME / "sysctls.saved"
CONTROLLERS = PROJECT / ".lab" / "tests"
GUIDES_RELEASE: str = runpy.run_path(str(PROJECT / "group_data" / "all.py"))["kubernetes_version"]
VIRTUAL_IP: str = runpy.run_path(str(PROJECT / "group_data" / "lb.py"))["virtual_ip"]


class Lab:
    """
    Machines at the inventory's addresses, and the directory from which they are deployed.

    That directory is a copy of the project with its own `.kubeinfra/` and `.lab/`: the user's are neither read nor
    changed. The machines themselves are there once only; `up` creates them again.

    + inventory: text in place of inventory.py; + settings: further lines of group_data/all.py
    + side_by_side: name of a lab of its own, so that other tests may use the usual one meanwhile
    """

    def __init__(self, name: str, inventory: str = "", settings: str = "", side_by_side: str = NAME) -> None:
        self.lab = side_by_side
        self.controllers = CONTROLLERS / self.lab
        self.directory = self.controllers / name
        self.inventory = inventory or (PROJECT / "inventory.py").read_text()
        self.settings = (PROJECT / "group_data" / "all.py").read_text() + settings
        said: dict[str, Any] = {}
        exec(self.inventory, said)
        self.addresses: dict[str, str] = {name: data["ssh_hostname"] for name, data in said["machines"]}
        self.machines = list(self.addresses)
        self.virtual = {name for name, data in said["machines"] if data.get("lab_machine") in ("vm", "bare-vm", "uml")}
        self.masters: list[str] = said["master"]
        self.nodes: list[str] = said["node"]
        self.etcd: list[str] = said["etcd"]
        self.load_balancers: list[str] = said["lb"]
        self.within: list[str] = []  # what the controller's commands run in: `ip netns exec NAME`
        # Of another network than the guide's: the same last number as in the guide's.
        self.virtual_ip = ".".join([*next(iter(self.addresses.values())).split(".")[:3], VIRTUAL_IP.split(".")[3]])

    @property
    def state(self) -> Path:
        """What the controller keeps of this cluster."""
        return self.directory / ".kubeinfra" / "lab"

    @property
    def cas(self) -> Path:
        """The controller's CAs: a directory each."""
        return self.state / "ca"

    def make_controller(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        left_out = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "tests", "docs", "pyinfra-debug.log")
        shutil.copytree(PROJECT, self.directory, ignore=left_out)
        (self.directory / "inventory.py").write_text(self.inventory)
        (self.directory / "group_data" / "all.py").write_text(self.settings)

    def up(self, timeout: float = 1200) -> None:
        """A controller that knows of no cluster, and machines on which nothing is set up."""
        self.make_controller()
        if self.virtual_ip != VIRTUAL_IP:
            (self.directory / "group_data" / "lb.py").write_text(f'virtual_ip = "{self.virtual_ip}"\n')
        made = self.python("-m", "lab", "up", "--fresh", timeout=timeout)
        assert made.code == 0, f"the lab should have come up:\n{made.text}"

    @contextmanager
    def more_settings(self, lines: str) -> Iterator[None]:
        """Meanwhile group_data/all.py has these lines too."""
        path = self.directory / "group_data" / "all.py"
        text = path.read_text()
        path.write_text(text + lines)
        try:
            yield
        finally:
            path.write_text(text)

    def forget_own_setting(self, name: str) -> None:
        """Leave out one of those that `lab up` has written for its machines."""
        own = self.directory / ".lab" / "group_data" / "all.py"
        lines = own.read_text().splitlines(keepends=True)
        own.write_text("".join(line for line in lines if not line.startswith(f"{name} = ")))

    def down(self) -> None:
        """Remove everything, and see that nothing of it is left on this machine."""
        kernel = SAVED_SYSCTLS.read_text()
        removed = self.python("-m", "lab", "down")
        shutil.rmtree(self.controllers)
        assert removed.code == 0, f"the lab should have gone down:\n{removed.text}"
        for what in (["ps", "--all"], ["network", "ls"], ["volume", "ls"]):
            left = _said("docker", *what, "--quiet", "--filter", f"label={LABEL}={self.lab}")
            assert not left, f"docker {what[0]} should be empty of the lab: {left}"
        cables = [path.name for path in Path("/sys/class/net").glob("vm????????") if self._has(path.name)]
        assert not cables, f"no virtual machine's cable should be left: {cables}"
        if not _said("docker", "network", "ls", "--quiet", "--filter", f"label={LABEL}"):  # what labs share
            routes = _said("ip", "route")
            assert "192.168.8" not in routes, f"no route should be left:\n{routes}"
            until("the dead ends are gone", lambda: "blackhole" not in _said("ip", "route"), 20)
            settings = ("sysctl", "-a", "-r", GLOBAL_SYSCTLS)
            until("the kernel's settings are as before", lambda: _differ(_said(*settings), kernel) or True, 20)

    def _has(self, cable: str) -> bool:
        """Whether a virtual machine's cable, which is named after an address, is one of this lab's."""
        return str(IPv4Address(bytes.fromhex(cable.removeprefix("vm")))) in self.addresses.values()

    def python(self, *arguments: str, timeout: float = 300) -> Invocation:
        return invoke([*self.within, sys.executable, *arguments], self.directory, self._environment, timeout)

    def pyinfra(
        self,
        *arguments: str,
        user: str = "root",
        inventory: str = "inventory.py",
        plan: bool = False,
        timeout: float = 300,
        kill_when: Callable[[str], bool] | None = None,
    ) -> Invocation:
        """`pyinfra -y --ssh-user root --ssh-key ... inventory.py <arguments>`, as documented; a plan without -y."""
        connection = ["--ssh-user", user, "--ssh-key", ".lab/id_ed25519", "--group-data", ".lab/group_data"]
        program = str(Path(sys.executable).with_name("pyinfra"))
        command = [*self.within, program, *(["--dry"] if plan else ["-y"]), *connection, inventory, *arguments]
        return invoke(command, self.directory, self._environment, timeout, kill_when)

    def deploy(self, *arguments: str, **options: Any) -> Invocation:
        """The whole deploy, which must succeed."""
        done = self.pyinfra("deploy.py", *arguments, **options)
        assert done.code == 0, f"{done} should have succeeded:\n{done.text}"
        return done

    @property
    def _environment(self) -> dict[str, str]:
        # The copy's modules, not those of the checkout that the virtual environment knows.
        return {"PYTHONPATH": str(self.directory), "KUBEINFRA_LAB": self.lab}

    def container(self, machine: str) -> str:
        return f"{self.lab}-{machine}"

    def kernel_arguments(self, machine: str, arguments: str) -> None:
        """What a machine of User-mode Linux is started with from its next boot on."""
        (VIRTUAL / self.lab / "uml" / machine / "kernel-arguments").write_text(arguments)

    def run(self, machine: str, script: str, stdin: str = "", check: bool = True) -> str:
        """What a shell script says on a machine."""
        done = subprocess.run(
            self._command(machine, script),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=180,
            errors="replace",
            cwd=self.directory,
        )
        if check:
            assert done.returncode == 0, f"{machine}: {script}\nshould have succeeded:\n{done.stdout}{done.stderr}"
        return done.stdout

    def _command(self, machine: str, script: str) -> list[str]:
        """From the lab's directory: `docker exec`, or ssh where the machine is a virtual one."""
        if machine not in self.virtual:
            return ["docker", "exec", "-i", self.container(machine), "sh", "-c", script]
        options = ["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "UserKnownHostsFile=.lab/known_hosts"]
        login = ["-i", ".lab/id_ed25519", f"root@{self.address(machine)}"]
        return ["ssh", *options, *login, f"exec sh -c {shlex.quote(script)}"]

    def everywhere(self, script: str, machines: list[str] | None = None) -> dict[str, str]:
        """The same on several machines at once: machine -> what it says."""
        where = machines or self.machines
        with ThreadPoolExecutor(len(where)) as pool:
            return dict(zip(where, pool.map(lambda machine: self.run(machine, script), where), strict=True))

    def kubectl(
        self, *arguments: str, stdin: str = "", check: bool = True, credentials: list[str] | None = None
    ) -> str:
        """What kubectl says on the controller, as the administrator or with other `credentials` (options)."""
        given = credentials or ["--kubeconfig", str(self.state / "admin.kubeconfig")]
        command = [str(self._kubectl), "--cache-dir", str(self.controllers / "kubectl-cache"), *given, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=180)
        said = done.stdout if done.returncode == 0 else done.stdout + done.stderr
        if check:
            assert done.returncode == 0, f"kubectl {' '.join(arguments)} should have succeeded:\n{said}"
        return said

    def get(self, *arguments: str) -> Any:
        """`kubectl get ... -o json`, read."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    @property
    def _kubectl(self) -> Path:
        """The release's own, taken from a master."""
        path = self.controllers / "kubectl"
        if not path.exists():
            read = self._command(self.masters[0], "cat /opt/kubernetes/bin/kubectl")
            with whole_path(path, 0o700) as part, part.open("wb") as file:
                subprocess.run(read, check=True, stdout=file, cwd=self.directory)
        return path

    def address(self, machine: str) -> str:
        return self.addresses[machine]

    def group(self, name: str) -> list[str]:
        """Machines of a group of the inventory."""
        return {"master": self.masters, "node": self.nodes, "etcd": self.etcd, "lb": self.load_balancers}[name]

    @property
    def server(self) -> str:
        return f"https://{self.address(self.masters[0])}:6443"

    def require_healthy(self, when: str) -> None:
        """Other tests make no sense on a cluster that is not healthy."""
        until(f"the cluster is healthy {when}", lambda: self.ailments() or True, 120)

    def ailments(self) -> list[str]:
        """What is not healthy, as text; empty if everything is."""
        items = self.get("nodes,daemonsets", "--all-namespaces")["items"]
        nodes = node_states(items)
        found = [f"node {name} is {state}" for name, state in nodes.items() if state != "Ready"]
        found += [f"no node {self.address(name)}" for name in self.nodes if self.address(name) not in nodes]
        ready = [one["status"].get("numberReady") for one in items if one["metadata"]["name"] == "kube-flannel-ds"]
        if ready != [len(self.nodes)]:
            found.append(f"flannel runs on {ready} of {len(self.nodes)} nodes")
        return found

    def node_states(self) -> dict[str, str]:
        return node_states(self.get("nodes")["items"])


def _said(*command: str) -> str:
    return subprocess.check_output(command, text=True)


def _differ(now: str, before: str) -> set[str]:
    return set(now.splitlines()) ^ set(before.splitlines())


def node_states(items: Iterable[Any]) -> dict[str, str]:
    """Name of each Node among the API's objects -> Ready, or not Ready."""
    states = {}
    for node in (item for item in items if item["kind"] == "Node"):
        ready = [one["status"] for one in node["status"].get("conditions", []) if one["type"] == "Ready"]
        states[node["metadata"]["name"]] = "Ready" if ready == ["True"] else "not Ready"
    return states


def until(what: str, probe: Callable[[], Any], timeout: float) -> None:
    """Wait until the probe gives True; AssertionError with its last answer (or error) after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            answer = probe()
        except AssertionError as error:
            answer = error
        if answer is True:
            return
        assert time.monotonic() < deadline, f"within {timeout} s it should have come true that {what}; last: {answer}"
        time.sleep(0.3)


def keeps_lab() -> bool:
    """`KEEP_LAB=1 pytest tests/lab/...`: use the machines and the cluster of the last such run, and leave them."""
    return os.environ.get("KEEP_LAB") == "1"
