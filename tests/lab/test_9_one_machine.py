"""Another plan than the guide's: everything on one machine."""

from __future__ import annotations

import re
from collections.abc import Callable

from laboratory import Lab
from observe import assert_finished

ONE = """\
machines = [("one", {"ssh_hostname": "192.168.80.10"})]
master = node = etcd = lb = ["one"]
"""


def test_everything_on_one_machine(bring_up: Callable[..., Lab], figures: list[str]) -> None:
    lab = bring_up("one", inventory=ONE, settings="load_balancer_port = 8443\nmasters_schedulable = True\n")
    done = lab.python("-m", "lab", "demo")  # what `make demo` does
    assert done.code == 0, f"the demo should end with a cluster:\n{done.text}"
    assert re.search(r"192\.168\.80\.10 +Ready .*v1\.20", done.output), f"it should show the node:\n{done.output}"
    assert re.search(r"^machines \d|, deploy \d+\.\d s$", done.output, re.MULTILINE), "and how long each phase took"
    assert "-m lab ssh one kubectl get pods" in done.output, "and how to go on"
    figures.append(f"everything on one machine, `lab demo` on running machines: {done.seconds:.1f} s")
    endpoint = f"https://{lab.virtual_ip}:8443"
    assert endpoint in (lab.state / "admin.kubeconfig").read_text(), "users should use the virtual address"
    assert f"server: {endpoint}" in lab.run("one", "cat /opt/kubernetes/cfg/kubelet.kubeconfig")
    listening = lab.run("one", "ss -Hltnp '( sport = :6443 or sport = :8443 )'")
    assert "kube-apiserver" in listening and "nginx" in listening, f"both should listen: {listening}"
    assert_finished(lab, done)
