"""The machines: one container with systemd and sshd for each host of the inventory."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

import paramiko

from kubeinfra.cluster.cluster import Machine
from kubeinfra.errors import KubeinfraError
from lab import keys
from lab.console import Phase
from lab.docker import attempt, docker, lines
from lab.names import LABEL, NETWORK, container

BOOT_SECONDS = 60
ADDRESS_LABEL = f"{LABEL}.address"
# An overlay cannot lie on the container's own overlay, and kubelet measures the disk behind its directory.
VOLUMES = {"docker": "/var/lib/docker", "containerd": "/var/lib/containerd", "kubelet": "/var/lib/kubelet"}


class Container(NamedTuple):
    name: str
    state: str
    """In Docker's words: running, exited, created, paused."""
    address: str
    image: str


def up(phase: Phase, machines: Sequence[Machine], image: str) -> None:
    """
    Bring up all machines, those that do not exist from this image; wait until each takes root's login.

    Raises KubeinfraError with one line for each machine that differs from the inventory or does not come up.
    """
    keys.login_key()
    keys.write_known_hosts((machine.name, machine.address) for machine in machines)
    there = containers()
    if problems := conflicts(there, machines):
        raise KubeinfraError(*problems)
    with ThreadPoolExecutor(len(machines)) as pool:
        came_up = [pool.submit(_up, machine, image, there.get(container(machine.name))) for machine in machines]
    problems = [str(error) for future in came_up if (error := future.exception())]
    if problems:
        raise KubeinfraError(*problems)
    phase.result = ", ".join([f"{len(machines)} machines", *_remarks(there, machines, image)])


def down() -> int:
    """Remove all machines with their volumes, and the network; gives how many there were."""
    label = f"--filter=label={LABEL}"
    if found := lines("ps", "--all", "--quiet", label):
        docker("rm", "--force", "--volumes", *found)
    for kind in ("volume", "network"):
        if names := lines(kind, "ls", "--quiet", label):
            docker(kind, "rm", *names)
    return len(found)


def containers() -> dict[str, Container]:
    """The lab's machines as the engine knows them, by name of the container."""
    fields = ["{{.Names}}", "{{.State}}", f'{{{{.Label "{ADDRESS_LABEL}"}}}}', "{{.Image}}"]
    rows = lines("ps", "--all", f"--filter=label={ADDRESS_LABEL}", "--format", "\t".join(fields))
    return {row.name: row for row in (Container(*line.split("\t")) for line in rows)}


def conflicts(there: Mapping[str, Container], machines: Iterable[Machine]) -> list[str]:
    """Where an existing machine has another address than the inventory says: one sentence each."""
    pairs = ((machine, there.get(container(machine.name))) for machine in machines)
    return [
        f"{machine.name} is up with address {found.address}, but the inventory says {machine.address}: "
        "run `python -m lab up --fresh`"
        for machine, found in pairs
        if found and found.address != str(machine.address)
    ]


def systemd_state(name: str) -> str:
    """What systemd says of the machine: running, degraded, starting ...; empty if nobody answers."""
    return attempt("exec", container(name), "systemctl", "is-system-running").stdout.decode().strip()


def login_refusal(address: IPv4Address) -> str:
    """Why root cannot log in with the lab's key; empty if root can. The host key must be the known one."""
    client = paramiko.SSHClient()
    client.load_host_keys(str(keys.KNOWN_HOSTS))
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    key = str(keys.LOGIN_KEY)
    try:
        with client:
            client.connect(
                str(address), 22, "root", key_filename=key, timeout=5, allow_agent=False, look_for_keys=False
            )
    except (OSError, paramiko.SSHException) as error:
        return str(error)
    return ""


def _remarks(there: Mapping[str, Container], machines: Iterable[Machine], image: str) -> Iterator[str]:
    """What is not as a fresh lab would be, and is left so."""
    wanted = {container(machine.name) for machine in machines}
    if older := sorted(found.name for found in there.values() if found.image != image):
        yield f"from an older image: {' '.join(older)}"
    if others := sorted(there.keys() - wanted):
        yield f"not in the inventory: {' '.join(others)}"


def _up(machine: Machine, image: str, found: Container | None) -> None:
    name = container(machine.name)
    if found is None:
        _create(machine, image)
    if found is None or found.state != "running":
        docker("start", name)
    ready = attempt("exec", name, "lab-ready", str(BOOT_SECONDS), timeout=BOOT_SECONDS + 10)
    if ready.returncode:
        raise KubeinfraError(f"{machine.name} does not come up: {_reason(name, ready.stdout + ready.stderr)}")
    if refusal := login_refusal(machine.address):
        raise KubeinfraError(
            f"{machine.name} refuses root's login with {keys.LOGIN_KEY}: {refusal}; "
            "if the machines are of another lab or older than the keys, run `python -m lab up --fresh`"
        )


def _create(machine: Machine, image: str) -> None:
    """Container and keys. No host name is given: giving names is the deploy's business."""
    name = container(machine.name)
    volumes = (f"type=volume,source={name}-{kind},target={path}" for kind, path in VOLUMES.items())
    docker(
        "create",
        f"--name={name}",
        f"--label={LABEL}",
        f"--label={ADDRESS_LABEL}={machine.address}",
        "--privileged",
        "--cgroupns=private",
        "--tmpfs=/run",
        "--tmpfs=/tmp:exec,mode=1777",
        *_kernel_modules(),
        *(f"--mount={volume},volume-label={LABEL}" for volume in volumes),
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
