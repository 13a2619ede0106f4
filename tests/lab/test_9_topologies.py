"""Other plans than the guide's, each on machines of its own: everything on one, and masters that are nodes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import pytest
from laboratory import Lab, until
from observe import assert_finished

BringUp = Callable[..., Lab]
ONE = """\
machines = [("one", {"ssh_hostname": "192.168.80.10"})]
master = node = etcd = lb = ["one"]
"""
STACKED = """\
machines = [("one", {"ssh_hostname": "192.168.80.10"}), ("two", {"ssh_hostname": "192.168.80.11"})]
master = etcd = ["one"]
node = ["one", "two"]
lb = []
"""


def test_everything_on_one_machine(bring_up: BringUp, figures: list[str]) -> None:
    lab = bring_up("one", inventory=ONE, settings="load_balancer_port = 8443\nmasters_schedulable = True\n")
    done = lab.python("-m", "lab", "demo")  # what `make demo` does
    assert done.code == 0, f"the demo should end with a cluster:\n{done.text}"
    assert re.search(r"192\.168\.80\.10 +Ready .*v1\.20", done.output), f"it should show the node:\n{done.output}"
    assert re.search(r"^machines \d|, deploy \d+\.\d s$", done.output, re.MULTILINE), "and how long each phase took"
    assert "-m lab ssh one kubectl get pods" in done.output, "and how to go on"
    figures.append(f"everything on one machine, `lab demo` on running machines: {done.seconds:.1f} s")
    endpoint = f"https://{lab.virtual_ip}:8443"
    assert endpoint in (lab.state / "admin.kubeconfig").read_text(), "people should use the virtual address"
    assert f"server: {endpoint}" in lab.run("one", "cat /opt/kubernetes/cfg/kubelet.kubeconfig")
    listening = lab.run("one", "ss -Hltnp '( sport = :6443 or sport = :8443 )'")
    assert "kube-apiserver" in listening and "nginx" in listening, f"both should listen: {listening}"
    assert_finished(lab, done)


@pytest.fixture(scope="module")
def stacked(bring_up: BringUp) -> Lab:
    """A master that is a node, and a node."""
    lab = bring_up("stacked", inventory=STACKED)
    assert_finished(lab, lab.deploy())
    return lab


def run_pods(lab: Lab, replicas: int) -> Counter[str]:
    """Scale Deployment `web`, and count its pods that are ready: machine -> how many."""
    lab.kubectl("scale", "deployment", "web", f"--replicas={replicas}")
    lab.kubectl("rollout", "status", "deployment/web", "--timeout=90s")
    names = {lab.address(machine): machine for machine in lab.nodes}
    return Counter(names[pod["spec"]["nodeName"]] for pod in lab.get("pods", "-l", "app=web")["items"])


def test_ordinary_pods_keep_off_a_master_that_is_a_node(stacked: Lab) -> None:
    image = stacked.get("-n", "kube-flannel", "daemonset", "kube-flannel-ds")["spec"]["template"]["spec"]
    sleeper = [f"--image={image['containers'][0]['image']}", "--", "sh", "-c", "trap exit TERM; sleep 3600 & wait"]
    stacked.kubectl("create", "deployment", "web", *sleeper)
    assert run_pods(stacked, 4) == {"two": 4}


def test_a_setting_lets_pods_onto_masters_and_takes_the_leave_back(stacked: Lab) -> None:
    settings = stacked.directory / "group_data" / "all.py"
    text = settings.read_text()
    settings.write_text(f"{text}masters_schedulable = True\n")
    done = stacked.deploy("--json")
    assert {"network | taint of one"} <= done.changes.keys(), f"the taint should have gone: {done.changes}"
    spread = run_pods(stacked, 12)
    assert spread["one"] > 0, f"pods should be on the master now: {spread}"
    settings.write_text(text)
    assert "network | taint of one" in stacked.deploy("--json").changes
    run_pods(stacked, 0)
    until("no pod of it is left", lambda: not stacked.get("pods", "-l", "app=web")["items"], 60)
    assert run_pods(stacked, 4) == {"two": 4}, "the taint should be back"
    assert_finished(stacked, stacked.deploy())
