"""From one master to the whole plan while pods work: an ordinary run with a longer inventory."""

from __future__ import annotations

import time
from collections.abc import Callable

from availability import Requests, https
from laboratory import Lab, until

POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: {name}, image: "{image}", command: {command}}}
"""
ASK = "while true; do if /agnhost connect --timeout=1s $0:80; then echo answered; else echo FAILED; fi; sleep 0.1; done"


def test_two_load_balancers_a_master_and_a_node_join_a_cluster_that_works(
    bring_up: Callable[[str], Lab], figures: list[str]
) -> None:
    lab = bring_up("growing")
    whole = (lab.directory / "inventory.py").read_text()
    small = whole.replace('master = ["master01", "master02"]', 'master = ["master01"]')
    small = small.replace('lb = ["lb01", "lb02"]', "lb = []").replace(
        'node = ["node01", "node02"]', 'node = ["node01"]'
    )
    later = [line for line in small.splitlines() if '("master02"' not in line and '("lb0' not in line]
    (lab.directory / "inventory.py").write_text("\n".join(later))
    lab.deploy()

    image_name = lab.run(lab.nodes[0], "docker images --format '{{.Repository}}:{{.Tag}}' | grep agnhost").strip()
    lab.kubectl("apply", "-f", "-", stdin=POD.format(name="web", image=image_name, command='["/agnhost", "netexec"]'))
    lab.kubectl("expose", "pod", "web", "--port=80", "--target-port=8080")
    lab.kubectl("wait", "pod/web", "--for=condition=Ready", "--timeout=60s")
    service = lab.get("service", "web")["spec"]["clusterIP"]
    command = f'["sh", "-c", "{ASK}", "{service}"]'
    lab.kubectl("apply", "-f", "-", stdin=POD.format(name="asking", image=image_name, command=command))
    until("the asking pod is answered", lambda: "answered" in lab.kubectl("logs", "asking", check=False), 60)

    (lab.directory / "inventory.py").write_text(whole)
    seen = len(lab.kubectl("logs", "asking").splitlines())
    started = time.monotonic()
    with Requests(https(f"https://{lab.address('master01')}:6443/readyz")) as requests:
        grown = lab.deploy()
        gap = requests.longest_gap(started)
    answers = lab.kubectl("logs", "asking").splitlines()[seen:]
    figures.append(
        f"master02, node02 and two load balancers join: {grown.seconds:.1f} s; "
        f"the first master's API was away for {gap:.1f} s"
    )
    assert len(answers) > 20 and set(answers) == {"answered"}, (
        f"the Service should never fail: {answers.count('FAILED')}"
    )
    assert gap < 30, f"the only master's restart took {gap:.1f} s"
    assert lab.run("master01", "cat /opt/kubernetes/ssl/kube-apiserver.pem | openssl x509 -noout -text").count(
        lab.virtual_ip
    )
    kubelet = lab.run(lab.nodes[0], "grep server: /opt/kubernetes/cfg/kubelet.kubeconfig").strip()
    assert kubelet == f"server: https://{lab.virtual_ip}:6443", f"kubelets should have moved: {kubelet}"
    assert lab.node_states().get(lab.address("node02")) == "Ready", f"node02 should be a node: {lab.node_states()}"
    again = lab.deploy("--json")
    assert not again.changes, f"a second run should have nothing to do: {again.changes}"
