"""The end of a wait for pods: why they are not ready, from a kubectl of ours."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from cluster_samples import guide
from local_machine import program, shell

from kubeinfra.components import addons, network
from kubeinfra.components.base import Probe
from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.operations.gates import waiting

APPARMOR = 'exec: "apparmor_parser": executable file not found'


def waited(directory: Path, probe: Probe, not_ready: str = "") -> subprocess.CompletedProcess[str]:
    """
    The end of such a wait, which nothing fulfils.

    + not_ready: lines "pod container restarts", as kubectl makes them of the pods' statuses
    """
    program(
        directory,
        "kubectl",
        f"""echo "$*" >>{directory}/asked
case "$*" in
*rollout*) echo "0 of 2 updated pods are available"; exit 1 ;;
*jsonpath*) exit 1 ;;
*"get nodes"*) echo "192.168.80.11 False container runtime is down" ;;
*"get pods"*go-template*) printf '{not_ready}' ;;
*"get pods"*) echo "kube-flannel-ds-1 0/1 Init:0/2" ;;
*"get events"*) printf 'OF WHY\\nkube-flannel-ds-1 {APPARMOR}\\nkube-flannel-ds-1 {APPARMOR}\\n' ;;
*logs*) case $* in *--previous*) echo "panic: before" ;; *) echo "is starting" ;; esac ;;
esac""",
    )
    script = waiting(probe).get_raw_value().replace(KUBECTL, f"{directory}/kubectl")
    return shell(re.sub(r"\+ \d+\)\)", "+ 0))", script))


@pytest.mark.parametrize("probe", [network.ROLLED_OUT, addons.ROLLED_OUT, network.nodes_ready(guide().nodes)])
def test_a_gate_on_pods_says_why_they_are_not_ready(tmp_path: Path, probe: Probe) -> None:
    told = waited(tmp_path, probe, "kube-flannel-ds-1 install-cni 0\\nkube-flannel-ds-2 kube-flannel 4\\n")
    assert told.returncode == 1
    assert f"waited {probe.timeout} s until {probe.what}" in told.stderr
    assert "kube-flannel-ds-1 0/1 Init:0/2" in told.stderr
    assert told.stderr.count(APPARMOR) == 1, "what is said again and again is shown once"
    assert "the last of kube-flannel-ds-1, container install-cni:\nis starting\n" in told.stderr
    assert "the last of kube-flannel-ds-2, container kube-flannel:\npanic: before\n" in told.stderr


def test_a_gate_on_nodes_says_what_kubelets_say(tmp_path: Path) -> None:
    assert "container runtime is down" in waited(tmp_path, network.nodes_ready(guide().nodes)).stderr


@pytest.mark.parametrize(
    ("probe", "namespace", "selector"),
    [(network.ROLLED_OUT, "kube-flannel", "app=flannel"), (addons.ROLLED_OUT, "kube-system", "k8s-app=kube-dns")],
)
def test_only_its_own_pods_are_asked_about(tmp_path: Path, probe: Probe, namespace: str, selector: str) -> None:
    waited(tmp_path, probe)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line for line in asked if "get pods" in line and f"--selector {selector} " in line]
    assert {line.split()[1] for line in asked if line.startswith("--namespace ")} == {namespace}
    assert not [line for line in asked if "logs " in line], "none is not ready"


def test_of_many_pods_the_first_three_are_quoted(tmp_path: Path) -> None:
    lines = "".join(f"kube-flannel-ds-{number} kube-flannel 1\\n" for number in range(50))
    assert waited(tmp_path, network.ROLLED_OUT, lines).stderr.count("the last of ") == 3
