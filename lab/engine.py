"""A Docker engine: the one that answers, or one that is installed and started here (root on Debian or Ubuntu)."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from kubeinfra.errors import KubeinfraError
from lab.console import Phase
from lab.docker import attempt, docker
from lab.process import run

HOME = Path("~/.cache/kubeinfra/engine").expanduser()
# mmdebstrap: where no image can be pulled, the machines' own is made with it.
PACKAGES = ("docker.io", "iptables", "kmod", "mmdebstrap", "debian-archive-keyring")
PID_FILE = Path("/var/run/docker.pid")
CAP_SYS_RESOURCE = 24


def provide(phase: Phase) -> str:
    """
    Make sure that a Docker engine answers which can run privileged containers. Gives its version.

    Raises KubeinfraError with what to do where there is none and none can be made.
    """
    if not answers():
        _install(phase)
        _start(phase)
    _require_privileged()
    return docker("version", "--format", "{{.Server.Version}}")


def answers() -> bool:
    return attempt("info", timeout=20).returncode == 0


def install_packages(phase: Phase, *names: str) -> None:
    """Install Debian packages on this machine; needs root, raises KubeinfraError with apt's words."""
    phase.note(f"installing {' '.join(names)}")
    patient = ("-q", "-o", "DPkg::Lock::Timeout=120")  # a build at the same time may install something too
    run(phase, "apt-get", "update", *patient)
    run(phase, "apt-get", "install", "-y", *patient, "--no-install-recommends", *names)


def can_install_packages() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def lacks_sys_resource() -> bool:
    """Whether this process, and so every engine that it starts, lacks CAP_SYS_RESOURCE (capabilities(7))."""
    return not has_capability(Path("/proc/self/status").read_text(), CAP_SYS_RESOURCE)


def has_capability(status: str, number: int) -> bool:
    """Whether bit `number` is set in the effective capabilities; `status` is the text of /proc/PID/status."""
    line = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(line.split()[1], 16) >> number & 1)


def _install(phase: Phase) -> None:
    if shutil.which("dockerd"):
        return
    if not can_install_packages():
        raise KubeinfraError(
            "no Docker engine answers `docker info`: install and start one, and let your user use it "
            "(https://docs.docker.com/engine/install/); as root on Debian or Ubuntu the lab does it by itself"
        )
    install_packages(phase, *PACKAGES)
    if not shutil.which("docker"):  # a package of its own from Debian 13 on
        install_packages(phase, "docker-cli")


def _start(phase: Phase) -> None:
    if answers():  # the package's own service has started it
        return
    if os.geteuid() != 0:
        raise KubeinfraError("the Docker engine does not answer `docker info`: start it, or run the lab as root")
    phase.note("starting dockerd")
    if Path("/run/systemd/system").is_dir():
        _start_service()
    else:
        _start_daemon()


def _start_service() -> None:
    done = subprocess.run(["systemctl", "start", "docker"], capture_output=True, text=True)
    if done.returncode or not answers():
        raise KubeinfraError(f"systemctl start docker: {done.stderr.strip()}; look at `journalctl -u docker`")


def _start_daemon() -> None:
    """Start dockerd in a session of its own, so that it outlives us; wait until it answers."""
    HOME.mkdir(parents=True, exist_ok=True)
    _forget_dead_daemon()
    log = HOME / "dockerd.log"
    with log.open("ab") as output:
        daemon = subprocess.Popen(
            ["dockerd", *_runtime_options()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + 60
    while not answers():
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise KubeinfraError(f"dockerd does not answer; its log {log} ends with: {_tail(log.read_text())}")
        time.sleep(0.1)


def _runtime_options() -> list[str]:
    """The runtime shim where the capability is missing, as a copy that outlives this checkout."""
    if not lacks_sys_resource():
        return []
    shim = HOME / "runc-shim"
    shutil.copy(Path(__file__).with_name("runc-shim"), shim)
    return [f"--add-runtime=without-sys-resource={shim}", "--default-runtime=without-sys-resource"]


def _forget_dead_daemon() -> None:
    """Remove a pid file that outlived a reboot: dockerd refuses to start if the number belongs to anybody."""
    if PID_FILE.exists():
        name = Path(f"/proc/{PID_FILE.read_text().strip()}/comm")
        if not name.exists() or name.read_text().strip() != "dockerd":
            PID_FILE.unlink()


def _require_privileged() -> None:
    """An engine of somebody else's, started without the capability and without the shim, cannot do it."""
    local = os.environ.get("DOCKER_HOST", "unix:").startswith("unix:")
    if local and lacks_sys_resource() and docker("info", "--format", "{{.DefaultRuntime}}") == "runc":
        raise KubeinfraError(
            "the running Docker engine cannot start privileged containers, because this machine withholds "
            "CAP_SYS_RESOURCE: stop it, and the lab starts one with a runtime that does without"
        )


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-5:])
