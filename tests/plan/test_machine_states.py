"""States that machines are in: what a plan makes of each, told in its words or refused before anything is changed."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

import pytest
from simulated import DEBIAN, SYSTEM, Machine, Project, Ran, guide

DOCKER = {**DEBIAN, "docker": "20.10.24", "docker-package": "docker.io"}
FLAGS = "ExecStart={ path=/usr/bin/dockerd ; argv[]=/usr/bin/dockerd -H fd:// --log-driver=journald ; pid=1 }"


def of(machine: Machine) -> Machine:
    """Each machine of the guide in a state of its own."""
    says, system = dict(machine.says), ["hostname=bare"]
    if machine.name == "master01":
        system += ["swap=/dev/zram0", "swap-service=zramswap.service", "swap-script=/etc/rc.local"]
    elif machine.name == "master02":
        says |= {"cloud-init": "yes", "cloud-init-hosts": "yes"}
    elif machine.name == "node01":
        says = {**DOCKER, "resolv": "", "resolved": b64encode(b"nameserver 9.9.9.9\n").decode()}
    elif machine.name == "node02":
        says = {**DOCKER, "docker-used": "yes", "resolv": b64encode(b"nameserver 127.0.0.53\n").decode()}
    return replace(machine, says=says, answers={**machine.answers, SYSTEM: system})


MACHINES = [of(machine) for machine in guide()]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Project(tmp_path_factory.mktemp("states")).plan(MACHINES, dns_upstreams=["192.168.80.1"])


def test_a_service_that_switches_swap_on_is_disabled_and_a_script_is_named(plan: Ran) -> None:
    said = plan.said("master01")
    assert "stop and disable zramswap.service, which switches swap on" in said
    assert "swap off: /dev/zram0" in said
    assert any(one.startswith("note: /etc/rc.local switches swap on at boot") for one in said)


def test_cloud_init_is_told_to_leave_names_alone(plan: Ran) -> None:
    wanted = "write /etc/cloud/cloud.cfg.d/99-zz-kubeinfra.cfg"
    assert wanted in plan.said("master02")
    assert wanted not in plan.said("master01")


def test_pods_get_servers_that_they_can_reach(plan: Ran) -> None:
    assert "+resolvConf: /run/systemd/resolve/resolv.conf" in plan.said("node01")
    assert "+resolvConf: /opt/kubernetes/cfg/resolv.conf" in plan.said("node02")
    assert "+nameserver 192.168.80.1" in plan.said("node02")


def test_only_a_docker_that_nobody_uses_gets_no_bridge(plan: Ran) -> None:
    bridge = '+  "bridge": "none",'
    assert bridge in plan.said("node01")
    assert bridge not in plan.said("node02")


def test_a_docker_whose_command_line_has_our_keys_is_refused(project: Project) -> None:
    unit = b64encode(FLAGS.encode()).decode()
    machines = [
        replace(machine, says={**DOCKER, "docker-unit": unit}) if "node" in machine.groups else machine
        for machine in guide()
    ]
    ran = project.pyinfra(machines, "-y", file="tasks/docker.py")
    assert ran.message == [
        "node01, node02: Docker's command line has log-driver; /etc/docker/daemon.json would have it too, and Docker "
        "does not start with both: take it out of the command line (`systemctl cat docker` shows the files), and say "
        "what you want of it in docker_extra_config"
    ]
