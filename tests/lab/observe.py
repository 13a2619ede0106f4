"""What machines and controller look like at a moment, so that two moments can be compared."""

from __future__ import annotations

import hashlib
import threading
from base64 import b64encode
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from invocation import Invocation
from laboratory import Lab

# The units' processes, as /proc/<pid>/stat names them: it ends names after 15 characters.
MASTER = {"kube-apiserver", "kube-controller", "kube-scheduler"}
NODE = {"kubelet", "kube-proxy", "dockerd", "containerd"}
LOAD_BALANCER = {"nginx", "haproxy", "keepalived"}
PROCESSES = {"etcd", *MASTER, *NODE, *LOAD_BALANCER}
SYSTEMD = "1"

TREES = "/etc /opt /usr/local /root /var/lib/etcd /var/lib/kubelet /var/lib/kubeinfra"
# What a cluster writes by itself while it runs, and kubectl's own cache.
LIVE = (
    "/var/lib/etcd/default.etcd/member",
    "/var/lib/kubelet/pods",
    "/opt/kubernetes/logs",
    "/root/.kube/cache",
    "/root/.kube/http-cache",
)

Processes = dict[tuple[str, str], tuple[str, ...]]


def processes(lab: Lab) -> Processes:
    """
    (machine, name) -> "pid start time" of each such process of ours, as the kernel has it: what systemd has started,
    and of the load balancers its children. A child of another, or of these, is a program that is about to be called,
    and still has its caller's name.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for machine, text in lab.everywhere("cat /proc/[0-9]*/stat 2>/dev/null; exit 0").items():
        rows = [_process(line) for line in text.splitlines()]
        mains = {pid for pid, name, parent, _ in rows if name in PROCESSES and parent == SYSTEMD}
        for pid, name, parent, started in rows:
            if pid in mains or (name in LOAD_BALANCER and parent in mains):
                found.setdefault((machine, name), []).append(f"{pid} {started}")
    return {key: tuple(sorted(values)) for key, values in found.items()}


def _process(line: str) -> tuple[str, str, str, str]:
    """Number, name, number of the parent, start time; proc(5)."""
    before, _, after = line.rpartition(")")
    pid, _, name = before.partition(" (")
    fields = after.split()
    return pid, name, fields[1], fields[19]


def restarted(before: Processes, after: Processes) -> set[tuple[str, str]]:
    """Which are not the same processes any more, or are there on one side only."""
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def command_line(lab: Lab, machine: str, process: str) -> str:
    """What it was started with, separated by spaces."""
    return lab.run(machine, f"tr '\\0' ' ' </proc/$(pidof {process})/cmdline")


def lost_leases(lab: Lab, before: Processes) -> set[tuple[str, str]]:
    """
    Which of these have ended by themselves, as the last word of each was: a leader exits when no API server has let it
    renew its lease for 10 s (--leader-elect-renew-deadline), which is how long its own may take to start on a busy
    machine.
    """
    asked = {key: pids for key, pids in before.items() if key[1] in {"kube-controller", "kube-scheduler"}}
    return {(machine, name) for (machine, name), pids in asked.items() if _has_lost_its_lease(lab, machine, pids)}


def _has_lost_its_lease(lab: Lab, machine: str, pids: tuple[str, ...]) -> bool:
    only = " ".join(f"_PID={pid.split()[0]}" for pid in pids)
    return "leaderelection lost" in lab.run(machine, f"journalctl --boot --no-pager -o cat {only}; exit 0")


# (machine, path, inode with size and time of change) -> digest: the kernel changes that time with every write.
_digests: dict[tuple[str, str, str], str] = {}


def machine_trees(lab: Lab) -> dict[str, str]:
    """ "machine:path" -> kind, mode, owner, target of a link, and digest of a file."""
    with ThreadPoolExecutor(len(lab.machines)) as pool:
        trees = pool.map(lambda machine: _tree(lab, machine), lab.machines)
    return {place: described for tree in trees for place, described in tree.items()}


def _tree(lab: Lab, machine: str) -> dict[str, str]:
    pruned = " -o ".join(f"-path {path}" for path in LIVE)
    find = f"find $trees \\( {pruned} \\) -prune -o -printf '%y %m %u:%g %l\\t%i %s %C@\\t%p\\n'"
    lines = lab.run(machine, f"trees=$(ls -d {TREES} 2>/dev/null); {find}").splitlines()
    rows = [line.split("\t", 2) for line in lines]
    files = {path: (machine, path, stamp) for described, stamp, path in rows if described.startswith("f ")}
    unknown = [path for path, key in files.items() if key not in _digests]
    for line in lab.run(machine, "xargs -r -d '\\n' sha256sum", stdin="\n".join(unknown)).splitlines():
        digest, _, path = line.partition("  ")
        _digests[files[path]] = digest
    return {
        f"{machine}:{path}": described + _digests.get((machine, path, stamp), "") for described, stamp, path in rows
    }


def controller_tree(*roots: Path) -> dict[str, str]:
    """Path -> mode and digest (of large files: size and time of change); without what Python and pyinfra write."""
    paths = (path for root in roots for path in (root, *root.rglob("*")))
    return {
        str(path): _described(path)
        for path in paths
        if "__pycache__" not in path.parts and path.name != "pyinfra-debug.log"
    }


def _described(path: Path) -> str:
    status = path.lstat()
    if not path.is_file():
        return f"{status.st_mode:o}"
    if status.st_size > 2**20:
        return f"{status.st_mode:o} {status.st_size} {status.st_mtime_ns}"
    return f"{status.st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return sorted(
        f"{path}: {before.get(path, 'not there')} -> {after.get(path, 'not there')}"
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    )


def secrets(lab: Lab) -> dict[str, str]:
    """Where it is kept -> a piece of each secret that nothing else contains: a key's longest line, or the token."""
    found = {}
    for file in [*lab.state.glob("secrets/*"), *lab.cas.glob("*/ca-key.pem")]:
        found[str(file)] = _core(file.read_text())
    keys = "for key in /opt/*/ssl/*-key.pem /opt/kubernetes/ssl/kubelet-client-current.pem; do "
    keys += '[ ! -f $key ] || { echo "FILE $key"; sed -n "/BEGIN.*PRIVATE/,/END/p" $key; }; done'
    for machine, text in lab.everywhere(keys).items():
        for part in text.split("FILE ")[1:]:
            path, _, key = part.partition("\n")
            found[f"{machine}:{path}"] = _core(key)
    return found


def _core(text: str) -> str:
    return max((line for line in text.splitlines() if "-----" not in line), key=len)


def spoken(secrets: dict[str, str], text: str) -> list[str]:
    """Which of the secrets are in the text, as they are or in base64 (in which they may start at any of 3 places)."""
    return [where for where, secret in secrets.items() if any(form in text for form in _spellings(secret))]


def _spellings(secret: str) -> Iterator[str]:
    yield secret
    for offset in range(3):
        # Those characters of 6 bits that what stands before and after has no part in: fewer would be found by chance.
        first, end = -(-8 * offset // 6), 8 * (offset + len(secret)) // 6
        yield b64encode(b"." * offset + secret.encode()).decode()[first:end]


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """
    Every command line that is seen on this machine meanwhile, those inside the lab's machines among them: they are
    processes of this kernel too.
    """
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            seen.update(_command_lines())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def _command_lines() -> Iterable[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended


def assert_finished(lab: Lab, done: Invocation, *again: str, **options: Any) -> Invocation:
    """All nodes Ready; nothing half done is left on a machine; the next run, which this gives, is empty."""
    lab.require_healthy(f"after {done}")
    half = "-name '.*.new' -o -path '/opt/*/bin/.*' -o -name '*.part' -o -path '/var/lib/kubeinfra/images/*'"
    leftovers = lab.everywhere(f"find $(ls -d /opt /usr/local/bin /etc /var/lib/kubeinfra 2>/dev/null) {half}")
    assert not "".join(leftovers.values()), f"no half file should be left: {leftovers}"
    running = processes(lab)
    second = lab.deploy("--json", *again, **options)
    assert not second.changes, f"the next run should change nothing: {second.changes}"
    assert processes(lab) == running, "the next run should restart nothing"
    return second


def starts(lab: Lab) -> dict[str, int]:
    """Container of a pod -> how often it was started, 0 where it is not ready."""
    pods = lab.get("pods", "-A")["items"]
    return {
        f"{pod['metadata']['uid']} {state['name']}": (state["restartCount"] + 1) * state["ready"]
        for pod in pods
        for state in pod["status"].get("containerStatuses", [])
    }


def started_again(lab: Lab, before: dict[str, int]) -> bool:
    """What the API says of nodes and pods is from before the machines stopped until their kubelets have said more."""
    now = starts(lab)
    return bool(now) and all(count > before.get(container, 0) for container, count in now.items())
