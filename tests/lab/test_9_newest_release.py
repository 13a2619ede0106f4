"""
The guide's machines with the newest release in place of 1.20.15, and nothing else changed: containerd, nftables.
They come up from a bundle, without a network.

What other files show of the guide's release, in short: it comes up, a second run is empty, what stops comes back.
"""

from __future__ import annotations

import base64
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import web
from cut_off import cut_off
from invocation import Invocation
from laboratory import Lab, until
from observe import Processes, assert_finished, processes, restarted, started_again, starts
from registry import Proxy, Registry

VERSION = "1.37.2"
SETTINGS = f"""
kubernetes_version = "{VERSION}"
"""


@pytest.fixture(scope="module")
def machines(bring_up: Callable[..., Lab]) -> Lab:
    return bring_up("newest", settings=SETTINGS)


@pytest.fixture(scope="module")
def bundle(machines: Lab) -> Path:
    """All that the controller needs; but for Python's packages, as it has these."""
    path = machines.directory / "bundle.tar"
    options = ("--no-wheels", "--group-data", ".lab/group_data", "--output", str(path))
    made = machines.python("-m", "kubeinfra", "bundle", "inventory.py", *options)
    assert made.code == 0, f"the bundle should have been made:\n{made.text}"
    return path


@pytest.fixture(scope="module")
def deployed(machines: Lab, bundle: Path, first_deploys: dict[str, Invocation], figures: list[str]) -> Invocation:
    artifacts, is_root = machines.directory / "artifacts", os.geteuid() == 0
    with cut_off(machines) if is_root else nullcontext():
        figures.append(f"{VERSION} from a bundle, network {'cut' if is_root else 'NOT cut, which needs root'}")
        unpacked = machines.python("-m", "kubeinfra.artifacts.unbundle", str(bundle), str(artifacts))
        assert unpacked.code == 0, f"the bundle should be whole:\n{unpacked.text}"
        bundle.unlink()
        first_deploys[VERSION] = machines.deploy("--data", f"artifacts_dir={artifacts}")
    return first_deploys[VERSION]


@pytest.fixture(scope="module")
def newest(machines: Lab, deployed: Invocation) -> Lab:
    return machines


def test_it_comes_up_and_the_second_run_is_empty(newest: Lab, deployed: Invocation) -> None:
    assert_finished(newest, deployed)
    nodes = newest.get("nodes")["items"]
    said = {node["metadata"]["name"]: node["status"]["nodeInfo"] for node in nodes}
    for name, info in said.items():
        assert info["kubeletVersion"] == f"v{VERSION}", f"{name}: {info}"
        assert info["containerRuntimeVersion"].startswith("containerd://2."), f"{name}: {info}"


def test_kube_proxy_works_with_nftables(newest: Lab, deployed: Invocation) -> None:
    for node in newest.nodes:
        assert newest.run(node, "curl -sS http://127.0.0.1:10249/proxyMode") == "nftables"
        api = newest.get("service", "kubernetes")["spec"]["clusterIP"]
        assert api in newest.run(node, "nft list table ip kube-proxy"), f"{node} should have its map of Services"
        assert not newest.run(node, "iptables-save -t nat | grep KUBE-SVC; exit 0"), f"{node} has iptables mode's rules"


def test_kubectl_top_is_answered(newest: Lab) -> None:
    """Through the aggregation layer; the kubelets' certificates are verified on the way."""
    every = {newest.address(name) for name in newest.nodes}
    for what, wanted in (("nodes", every), ("pods", {"coredns", "metrics-server"})):
        said = newest.kubectl("top", what, *(["-n", "kube-system"] if what == "pods" else []), "--no-headers")
        found = {line.split()[0] for line in said.splitlines()}
        assert all(any(name.startswith(one) for name in found) for one in wanted), f"kubectl top {what}:\n{said}"
    deployment = newest.kubectl("-n", "kube-system", "get", "deployment", "metrics-server", "-o", "yaml")
    assert "insecure" not in deployment


@pytest.mark.parametrize(
    ("mode", "others"),
    [("iptables", "nft list tables | grep kube-proxy"), ("nftables", "iptables-save | grep -E '^:KUBE-(SVC|SEP)'")],
    ids=["there", "and back"],
)
def test_the_other_mode_of_kube_proxy_and_back_leaves_nothing(newest: Lab, mode: str, others: str) -> None:
    """`others`: shell that shows what the mode before had written."""
    done = newest.pyinfra("tasks/node.py", "--data", f"kube_proxy_mode={mode}")
    assert done.code == 0, f"{done} should have succeeded:\n{done.text}"
    modes = newest.everywhere("curl -sS http://127.0.0.1:10249/proxyMode", newest.nodes)
    assert set(modes.values()) == {mode}, f"every node should have the new mode: {modes}"
    left = newest.everywhere(f"{others}; exit 0", newest.nodes)
    assert not any(left.values()), f"no rule of the mode before should be left: {left}"
    verified = newest.pyinfra("tasks/verify.py")
    assert verified.code == 0, f"traffic should flow:\n{verified.text}"


def test_a_restart_of_the_runtime_stops_no_container(newest: Lab) -> None:
    node = newest.nodes[0]
    shims = "pgrep -x containerd-shim | sort"  # the kernel keeps 15 characters
    before = newest.run(node, shims)
    assert len(before.split()) >= 2, f"containers should run on {node}: {before}"
    newest.run(node, "systemctl restart containerd")
    assert newest.run(node, shims) == before, "every container's shim should go on"
    newest.require_healthy("after a restart of containerd")


MIRRORS = """
registry_mirrors = {{
    "by-address.example": [{{"url": "https://{address}:{port}/k8s", "ca": "{ca}"}}],
    "by-name.example:5000": [{{"url": "https://mirror.example:{port}/k8s", "ca": "{ca}"}}],
}}
runtime_proxy = {{"https_proxy": "http://lab:hunter2@{address}:{proxy}", "no_proxy": "{address}"}}
"""
NO_MIRRORS = """
registry_mirrors = {}
"""


def test_images_are_pulled_through_mirrors_and_a_proxy_which_go_again(newest: Lab) -> None:
    """Mirrors with port, path and CA, of registries that there are not; one has a name that only the proxy knows."""
    node, ca = newest.nodes[0], "/etc/containerd/lab-registry.pem"  # not where the system has its own CAs
    address = newest.run(node, "ip -4 route show default").split()[2]  # of the machine that runs the tests
    registry = Registry(address, "mirror.example", "k8s/new")
    with registry.serve() as port, (proxy := Proxy(address, port)).serve() as proxy_port:
        newest.run(node, f"cat >{ca}", stdin=registry.ca_pem)
        with newest.more_settings(MIRRORS.format(address=address, port=port, ca=ca, proxy=proxy_port)):
            done = newest.pyinfra("tasks/containerd.py", "--limit", node)
        assert done.code == 0 and "hunter2" not in done.text, (
            f"{done} should succeed and keep the password:\n{done.text}"
        )
        newest.run(node, "crictl pull by-address.example/new:1")
        assert not proxy.asked, f"the mirror is asked straight: {proxy.asked}"
        assert sum("/blobs/" in path for path in registry.asked) == 2, f"for all of the image: {registry.asked}"
        newest.run(node, "crictl pull by-name.example:5000/new:2")
        assert {host for host, _ in proxy.asked} == {f"mirror.example:{port}"}, f"through the proxy: {proxy.asked}"
        assert {word for _, word in proxy.asked} == {f"Basic {base64.b64encode(b'lab:hunter2').decode()}"}
    assert "hunter2" not in newest.run(node, "systemctl show containerd"), "any user may ask systemd"
    with newest.more_settings(NO_MIRRORS):
        back = newest.pyinfra("tasks/containerd.py", "--limit", node)
    assert back.code == 0, f"{back} should have succeeded:\n{back.text}"
    left = newest.run(node, "find /etc/containerd/certs.d /etc/systemd/system/containerd.service.d -type f; exit 0")
    assert not left, f"nothing of either should be left: {left}"
    newest.run(node, f"rm {ca}; crictl rmi by-address.example/new:1")


def test_every_process_comes_back_after_it_was_killed(newest: Lab) -> None:
    before = processes(newest)
    for name in ("etcd", "kube-apiserver", "kube-controller", "kube-scheduler", "kubelet", "kube-proxy", "containerd"):
        machines = [machine for machine, found in before if found == name]
        assert machines, f"no {name} runs: {sorted(before)}"
        newest.everywhere(f"pkill -KILL -x {name}", machines)
    until("all processes run again", lambda: lacking(newest, before), 60)
    newest.require_healthy("after every process was killed")


def lacking(lab: Lab, wanted: Processes) -> bool | set[tuple[str, str]]:
    """True if all of these run, on their machines; else which do not."""
    return wanted.keys() - processes(lab).keys() or True


def test_all_machines_come_back_together_without_a_run(newest: Lab, figures: list[str]) -> None:
    containers = [newest.container(machine) for machine in newest.machines]
    running, before = processes(newest), starts(newest)
    subprocess.run(["docker", "stop", "--time", "10", *containers], check=True, capture_output=True)
    started = time.monotonic()
    subprocess.run(["docker", "start", *containers], check=True, capture_output=True)
    until("all processes run again", lambda: lacking(newest, running), 120)
    until("every pod's containers run again", lambda: started_again(newest, before), 120)
    newest.require_healthy("after all machines were off")
    figures.append(f"all machines of {VERSION} stopped and started: healthy after {time.monotonic() - started:.1f} s")
    verified = newest.pyinfra("tasks/verify.py")
    assert verified.code == 0, f"traffic between pods should flow again:\n{verified.text}"


def is_served(lab: Lab) -> bool:
    """Whether each node's host is answered by the Service, which its kube-proxy has heard of."""
    answers = lab.everywhere(f"curl -sS -m 2 http://{web.address(lab)}/hostname", lab.nodes)
    return all(answers.values())


def test_a_restore_gives_back_what_the_backup_had(newest: Lab, figures: list[str]) -> None:
    newest.kubectl("create", "namespace", "kept")
    saved = newest.pyinfra("day2/backup.py")
    assert saved.code == 0, f"the backup should succeed:\n{saved.text}"
    newest.kubectl("delete", "namespace", "kept")
    newest.kubectl("create", "namespace", "made-later")
    before = processes(newest)
    snapshot: Path = max((newest.state / "backups").glob("*.db"))
    done = newest.pyinfra("day2/restore.py", "--data", f"snapshot={snapshot}", "--data", "confirm=lab")
    assert done.code == 0, f"the restore should succeed:\n{done.text}"
    figures.append(f"restore of {VERSION}: {done.seconds:.1f} s")
    names = {one["metadata"]["name"] for one in newest.get("namespaces")["items"]}
    assert "kept" in names and "made-later" not in names, f"the namespaces of the backup: {names}"
    newest.require_healthy("after the restore")
    watching = [(machine, name) for machine, name in before if name in ("kubelet", "kube-proxy")]
    assert len(watching) == 2 * len(newest.nodes), f"on every node two should run: {sorted(before)}"
    now = processes(newest)
    assert all(now.get(one) == before[one] for one in watching), f"etcd's revisions went on, and so should they: {now}"
    web.serve(newest)
    until("what was made after the restore is answered on every node", lambda: is_served(newest), 30)
    web.remove(newest)
    after = newest.deploy("--json")
    assert set(after.changes) <= {"verify | traffic"}, f"a run after it has nothing to do: {after.changes}"


def test_a_node_that_joined_after_the_backup_comes_back_with_the_restore(newest: Lab) -> None:
    """Its Node is not in the snapshot, and its kubelet registers only when it starts."""
    joined = newest.nodes[-1]
    newest.kubectl("delete", "node", newest.address(joined))
    saved = newest.pyinfra("day2/backup.py")
    assert saved.code == 0, f"the backup should succeed:\n{saved.text}"
    newest.deploy()
    newest.require_healthy("after it has joined")
    before = processes(newest)
    snapshot: Path = max((newest.state / "backups").glob("*.db"))
    done = newest.pyinfra("day2/restore.py", "--data", f"snapshot={snapshot}", "--data", "confirm=lab")
    assert done.code == 0, f"the restore should succeed:\n{done.text}"
    newest.require_healthy("after the restore")
    moved = restarted(before, processes(newest))
    watchers = {one for one in moved if one[1] in ("kubelet", "kube-proxy")}
    # A kube-proxy of newer releases exits by itself when its Node becomes another one.
    assert watchers - {(joined, "kube-proxy")} == {(joined, "kubelet")}, f"restarted: {moved}"
    newest.deploy()
    again = newest.deploy("--json")
    assert set(again.changes) <= {"verify | traffic"}, f"the next run has nothing to do: {again.changes}"
