"""Machines that are containers: they boot in a second, and share this computer's kernel."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from kubeinfra.cluster.cluster import Machine
from kubeinfra.errors import KubeinfraError
from lab import image, keys, ssh
from lab.console import Phase
from lab.docker import attempt, docker, lines
from lab.image import Recipe
from lab.machines import Found
from lab.names import LABEL, NETWORK, OWN, container

BOOT_SECONDS = 60
STOP_SECONDS = 60
ADDRESS_LABEL = f"{LABEL}.address"
KIND_LABEL = f"{LABEL}.kind"
# An overlay cannot lie on the container's own overlay, and kubelet measures the disk behind its directory.
VOLUMES = {"docker": "/var/lib/docker", "containerd": "/var/lib/containerd", "kubelet": "/var/lib/kubelet"}


class Containers:
    """
    + name: of the kind; + recipe: of its image
    """

    def __init__(self, name: str, recipe: Recipe) -> None:
        self.name = name
        self.recipe = recipe

    def provide(self, phase: Phase, new: int) -> str:
        return image.provide(phase, self.recipe)

    def found(self) -> dict[str, Found]:
        fields = ["{{.Names}}", "{{.State}}", f'{{{{.Label "{ADDRESS_LABEL}"}}}}', "{{.Image}}"]
        filters = (f"--filter=label={OWN}", f"--filter=label={KIND_LABEL}={self.name}")
        rows = lines("ps", "--all", *filters, "--format", "\t".join(fields))
        members = (Found(*line.removeprefix(container("")).split("\t")) for line in rows)
        return {one.name: one for one in members}

    def up(self, machine: Machine, image: str, found: Found | None) -> None:
        name = container(machine.name)
        if found is None:
            _create(machine, image, self.name)
        if found is None or found.state != "running":
            docker("start", name)
        ready = attempt("exec", name, "lab-ready", str(BOOT_SECONDS), timeout=BOOT_SECONDS + 10)
        if ready.returncode:
            raise KubeinfraError(f"{machine.name} does not come up: {_reason(name, ready.stdout + ready.stderr)}")
        if refusal := ssh.refusal(machine.address):
            raise ssh.refused(machine.name, refusal)

    def stop(self, machine: Machine) -> None:
        docker("stop", f"--time={STOP_SECONDS}", container(machine.name))

    def cut(self, machine: Machine) -> None:
        docker("kill", container(machine.name))

    def command(self, machine: Machine, *command: str, terminal: bool = False) -> list[str]:
        options = ["--interactive", "--tty"] if terminal else ["--interactive"]
        return ["docker", "exec", *options, container(machine.name), *(command or ("bash", "-l"))]

    def systemd_state(self, machine: Machine) -> str:
        said = attempt("exec", container(machine.name), "systemctl", "is-system-running")
        return said.stdout.decode().strip()

    def remove(self) -> int:
        filters = (f"--filter=label={OWN}", f"--filter=label={KIND_LABEL}={self.name}")
        if found := lines("ps", "--all", "--quiet", *filters):
            docker("rm", "--force", "--volumes", *found)
        return len(found)


def remove_rest() -> None:
    """What no machine has any more: volumes, the network, and what a container of the lab's own left behind."""
    label = f"--filter=label={OWN}"
    for what, remove in (("ps", ("rm", "--force")), ("volume", ("volume", "rm")), ("network", ("network", "rm"))):
        listing = ("ps", "--all") if what == "ps" else (what, "ls")
        if names := lines(*listing, "--quiet", label):
            docker(*remove, *names)


def _create(machine: Machine, image: str, kind: str) -> None:
    """Container and keys. No host name is given: giving names is the deploy's business."""
    name = container(machine.name)
    volumes = (f"type=volume,source={name}-{part},target={path}" for part, path in VOLUMES.items())
    docker(
        "create",
        f"--name={name}",
        f"--label={OWN}",
        f"--label={ADDRESS_LABEL}={machine.address}",
        f"--label={KIND_LABEL}={kind}",
        "--privileged",
        "--cgroupns=private",
        "--tmpfs=/run",
        "--tmpfs=/tmp:exec,mode=1777",
        *_kernel_modules(),
        *(f"--mount={volume},volume-label={OWN}" for volume in volumes),
        f"--network={NETWORK}",
        f"--ip={machine.address}",
        image,
    )
    docker("cp", "-", f"{name}:/etc/ssh", stdin=key_archive(keys.host_key(machine.name)[0], keys.login_key()))


def _kernel_modules() -> list[str]:
    """So that a machine can load modules of the kernel that it shares, such as ip_vs, where there are any."""
    return ["--volume=/lib/modules:/lib/modules:ro"] if Path("/lib/modules").is_dir() else []


def key_archive(host_key: bytes, authorized: str) -> bytes:
    """What goes into a machine's /etc/ssh, as a tar file."""
    content = {
        "ssh_host_ed25519_key": (host_key, 0o600),
        "lab_authorized_keys": (authorized.encode() + b"\n", 0o644),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, (data, mode) in content.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), mode
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _reason(name: str, said: bytes) -> str:
    """What the machine said, or the last words of its first process where it is gone."""
    return said.decode(errors="replace").strip() or attempt("logs", "--tail=5", name).stderr.decode().strip()
