"""Clusters made in other ways, each on fresh machines: by Docker, and in four goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from invocation import ends
from laboratory import Lab, until
from observe import assert_finished, command_lines, processes, secrets, spoken

BringUp = Callable[..., Lab]


# A machine for each component.
SMALL = """\
machines = [
    ("master01", {"ssh_hostname": "192.168.80.10"}),
    ("node01", {"ssh_hostname": "192.168.80.11"}),
    ("lb01", {"ssh_hostname": "192.168.80.13"}),
]
master = etcd = ["master01"]
node = ["node01"]
lb = ["lb01"]
"""


def test_the_docker_connector_makes_a_cluster_and_tells_no_secret(bring_up: BringUp, figures: list[str]) -> None:
    """With -vvv, and with an eye on every command line: this connector's are on this machine too."""
    lab = bring_up("docker", inventory=SMALL)
    inventory = ".lab/docker_inventory.py"
    with command_lines() as seen:
        done = lab.deploy("-vvv", inventory=inventory)
    figures.append(f"deploy by the Docker connector: {done.seconds:.1f} s")
    assert_finished(lab, done, inventory=inventory)
    known = secrets(lab)
    assert "sha256sum" in done.text and any("docker exec" in line for line in seen), "this should be all that ran"
    assert not spoken(known, done.text), f"pyinfra's output should not tell {spoken(known, done.text)}"
    told = spoken(known, "\n".join(seen))
    assert not told, f"no command line should tell {told}"


@pytest.fixture(scope="module")
def killed(bring_up: BringUp) -> Lab:
    """SIGKILL at three points of one deploy; what is there at each is proved, so that the kill came in time."""
    return bring_up("killed")


def test_killed_while_binaries_are_sent(killed: Lab) -> None:
    half = "ls /opt/etcd/bin/.etcd*.gz 2>/dev/null; exit 0"

    def is_sending(line: str) -> bool:
        if line.startswith("--> Starting operation: artifacts | binaries"):
            until("a binary is on its way", lambda: bool(killed.run(killed.etcd[-1], half)), 30)
            return True
        return False

    done = killed.pyinfra("deploy.py", "-v", kill_when=is_sending)  # it names each operation
    assert done.code == -9, f"it should have been killed:\n{done.text}"
    final = killed.run(killed.etcd[-1], "ls /opt/etcd/bin/etcd 2>/dev/null; exit 0")
    assert not final, "nothing that was cut off should have its final name"


def test_killed_between_etcd_and_the_control_plane(killed: Lab) -> None:
    done = killed.pyinfra("deploy.py", kill_when=ends("etcd is started"))
    assert done.code == -9, f"it should have been killed:\n{done.text}"
    names = {name for _, name in processes(killed)}
    assert "etcd" in names and "kube-apiserver" not in names, f"it should have come no further than etcd: {names}"


def test_killed_between_a_kubelets_start_and_its_certificate(killed: Lab) -> None:
    signer = "kube-controller-manager"  # it must not be quicker than we

    def has_started(line: str) -> bool:
        if line.startswith("--> Starting operation: node | start"):
            killed.everywhere(f"pkill -STOP {signer[:15]}", killed.masters)
        return ends("nodes are started")(line)

    done = killed.pyinfra("deploy.py", "-v", kill_when=has_started)
    assert done.code == -9, f"it should have been killed:\n{done.text}"
    names = {name for _, name in processes(killed)}
    signed = killed.run(killed.nodes[0], "ls /opt/kubernetes/ssl/kubelet-client-current.pem 2>/dev/null; exit 0")
    killed.everywhere(f"pkill -CONT {signer[:15]}", killed.masters)
    assert "kubelet" in names and not signed, f"kubelets should run, and have no certificate yet: {names} {signed}"


def test_the_run_after_three_kills_finishes(killed: Lab, figures: list[str]) -> None:
    done = killed.deploy()
    figures.append(f"the run after three kills: {done.seconds:.1f} s")
    assert_finished(killed, done)
