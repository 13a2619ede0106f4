"""
One small cluster, begun file by file, its deploy killed at three points and finished by an ordinary user with sudo;
then the whole plan, while pods work: an ordinary run with a longer inventory.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from availability import Requests, https
from invocation import ends
from laboratory import PROJECT, Lab, until
from observe import assert_finished, processes

WHOLE = (PROJECT / "inventory.py").read_text()
SUDO = ("--data", "_sudo=true")
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


def small_inventory() -> str:
    """A master, a node, three etcd members, no load balancer."""
    text = WHOLE
    for group, whole, fewer in (
        ("master", '["master01", "master02"]', '["master01"]'),
        ("lb", '["lb01", "lb02"]', "[]"),
        ("node", '["node01", "node02"]', '["node01"]'),
    ):
        assert f"{group} = {whole}" in text, f"inventory.py should have {group} = {whole}"
        text = text.replace(f"{group} = {whole}", f"{group} = {fewer}")
    return "\n".join(line for line in text.splitlines() if '("master02"' not in line and '("lb0' not in line)


@pytest.fixture(scope="module")
def small(bring_up: Callable[..., Lab]) -> Lab:
    """The first components each alone, as root; then the rest."""
    return bring_up("growing", inventory=small_inventory())


@pytest.mark.parametrize(
    ("task", "group", "proof"),
    [
        ("host", "", '[ "$(hostname)" = "$(cat /etc/hostname)" ] && sysctl -n net.ipv4.ip_forward | grep -qx 1'),
        ("docker", "node", "[ \"$(docker info -f '{{.CgroupDriver}}')\" = systemd ]"),
        ("etcd", "etcd", "etcdctl endpoint health --cluster"),
    ],
    ids=["host", "docker", "etcd"],
)
def test_a_task_alone_starts_from_nothing(small: Lab, task: str, group: str, proof: str) -> None:
    done = small.pyinfra(f"tasks/{task}.py", *(["--limit", group] if group else []))
    assert done.code == 0, f"{done} should work on bare machines:\n{done.text}"
    small.everywhere(proof, small.group(group) if group else small.machines)


# SIGKILL; what is there at each of the three points is proved, so that the kill came in time.


def test_killed_while_binaries_are_sent(small: Lab) -> None:
    half = "ls /opt/kubernetes/bin/.kube-apiserver*.gz 2>/dev/null; exit 0"

    def is_sending(line: str) -> bool:
        if line.startswith("--> Starting operation: artifacts | binaries"):
            until("a binary is on its way", lambda: bool(small.run(small.masters[0], half)), 30)
            return True
        return False

    done = small.pyinfra("deploy.py", "-v", kill_when=is_sending)  # it names each operation
    assert done.code == -9, f"it should have been killed:\n{done.text}"
    final = small.run(small.masters[0], "ls /opt/kubernetes/bin/kube-apiserver 2>/dev/null; exit 0")
    assert not final, "nothing that was cut off should have its final name"


def test_killed_between_etcd_and_the_control_plane(small: Lab) -> None:
    done = small.pyinfra("deploy.py", kill_when=ends("etcd is started"))
    assert done.code == -9, f"it should have been killed:\n{done.text}"
    names = {name for _, name in processes(small)}
    assert "etcd" in names and "kube-apiserver" not in names, f"it should have come no further than etcd: {names}"


def test_killed_between_a_kubelets_start_and_its_certificate(small: Lab) -> None:
    signer = "kube-controller-manager"  # it must not be quicker than we

    def has_started(line: str) -> bool:
        if line.startswith("--> Starting operation: node | start"):
            small.everywhere(f"pkill -STOP {signer[:15]}", small.masters)
        return ends("nodes are started")(line)

    done = small.pyinfra("deploy.py", "-v", kill_when=has_started)
    assert done.code == -9, f"it should have been killed:\n{done.text}"
    names = {name for _, name in processes(small)}
    signed = small.run(small.nodes[0], "ls /opt/kubernetes/ssl/kubelet-client-current.pem 2>/dev/null; exit 0")
    small.everywhere(f"pkill -CONT {signer[:15]}", small.masters)
    assert "kubelet" in names and not signed, f"kubelets should run, and have no certificate yet: {names} {signed}"


def test_an_ordinary_user_with_sudo_finishes_it(small: Lab, figures: list[str]) -> None:
    done = small.deploy(*SUDO, user="operator")
    figures.append(f"the run after three kills, as an ordinary user: {done.seconds:.1f} s")
    assert_finished(small, done, *SUDO, user="operator")


def test_two_load_balancers_a_master_and_a_node_join_a_cluster_that_works(small: Lab, figures: list[str]) -> None:
    lab = Lab("growing")
    (lab.directory / "inventory.py").write_text(WHOLE)
    more = lab.python("-m", "lab", "up")
    assert more.code == 0, f"the other machines should have come up:\n{more.text}"

    image_name = lab.run(small.nodes[0], "docker images --format '{{.Repository}}:{{.Tag}}' | grep agnhost").strip()
    lab.kubectl("apply", "-f", "-", stdin=POD.format(name="web", image=image_name, command='["/agnhost", "netexec"]'))
    lab.kubectl("expose", "pod", "web", "--port=80", "--target-port=8080")
    lab.kubectl("wait", "pod/web", "--for=condition=Ready", "--timeout=60s")
    service = lab.get("service", "web")["spec"]["clusterIP"]
    command = f'["sh", "-c", "{ASK}", "{service}"]'
    lab.kubectl("apply", "-f", "-", stdin=POD.format(name="asking", image=image_name, command=command))
    until("the asking pod is answered", lambda: "answered" in lab.kubectl("logs", "asking", check=False), 60)

    seen = len(lab.kubectl("logs", "asking").splitlines())
    started = time.monotonic()
    with Requests(https(f"https://{lab.address('master01')}:6443/readyz")) as requests:
        grown = lab.deploy(*SUDO, user="operator")
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
    assert_finished(lab, grown, *SUDO, user="operator")
