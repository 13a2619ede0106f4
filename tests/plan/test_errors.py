"""Bad input ends in one clear message and exit code 1, before anything is changed, and never in a traceback."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from simulated import DEBIAN, RED_HAT, Machine, Project, inventory_of

from kubeinfra.controller.directory import COMMON_NAMES, ControllerDirectory
from kubeinfra.pki.ca import CA

MASTER = Machine("m1", "192.168.80.10", "master etcd")
NODE = Machine("n1", "192.168.80.11", "node")
SMALL = [MASTER, NODE]
Row = tuple[Sequence[Machine], dict[str, Any], list[str]]

ERRORS: dict[str, Row] = {
    "an unknown setting": (
        SMALL,
        {"kubernetes_versoin": "1.20.15"},
        ["group_data/all.py: unknown setting kubernetes_versoin; did you mean kubernetes_version?"],
    ),
    "a wrong type": (
        SMALL,
        {"apiserver_port": "x"},
        [
            "group_data/all.py: apiserver_port is 'x': "
            "input should be a valid integer, unable to parse string as an integer"
        ],
    ),
    "overlapping networks": (
        SMALL,
        {"service_cidr": "10.244.1.0/24", "dns_address": "10.244.1.2"},
        [
            "group_data/all.py: service_cidr 10.244.1.0/24 overlaps cluster_cidr 10.244.0.0/16; "
            "choose networks that share no address, such as 10.0.0.0/24 and 10.244.0.0/16"
        ],
    ),
    "two hosts with one address": (
        [MASTER, replace(NODE, address=MASTER.address)],
        {},
        ["inventory: m1 and n1 have the same address 192.168.80.10; each machine needs its own"],
    ),
    "an empty group": (
        [MASTER],
        {},
        ["inventory: group node is empty; it needs at least one machine"],
    ),
    "a release that is not supported": (
        SMALL,
        {"kubernetes_version": "1.19.0"},
        [
            "group_data/all.py: kubernetes_version is '1.19.0': it is older than what this checkout knows, "
            "1.20 to 1.37; the nearest is '1.20.15'"
        ],
    ),
    "an unknown key of a machine": (
        [MASTER, replace(NODE, data={"adress": "10.1.1.1"})],
        {},
        ["inventory: n1: unknown setting adress; did you mean address?"],
    ),
    "several at once": (
        [MASTER, replace(NODE, address=MASTER.address)],
        {"colour": "blue", "apiserver_port": 0},
        [
            "group_data/all.py: unknown setting colour; docs/settings.md lists every setting",
            "group_data/all.py: apiserver_port is 0: input should be greater than or equal to 1",
            "inventory: m1 and n1 have the same address 192.168.80.10; each machine needs its own",
        ],
    ),
    "no root": (
        [replace(MASTER, says={**DEBIAN, "uid": "1000"}), NODE],
        {},
        [
            "m1: commands run as user 1000, root is needed; "
            "set _sudo = True in group_data/all.py, or connect with --ssh-user root"
        ],
    ),
    "a machine that cannot be one": (
        [replace(MASTER, says={"uid": "0", "arch": "riscv64"}), NODE],
        {},
        [
            "m1: architecture riscv64 is not supported: amd64 or arm64",
            "m1: systemd is not PID 1; every component is a systemd unit: take a machine that has it",
            "m1: has neither apt-get nor dnf or yum; install from a Debian- or RHEL-like",
        ],
    ),
    "a systemd that is too old": (
        [MASTER, replace(NODE, says={**DEBIAN, "systemd": "208"})],
        {},
        [
            "n1: systemd 208 is too old, 219 or newer is needed: take a distribution of docs/platforms.md",
        ],
    ),
    "a name server that pods cannot reach": (
        [MASTER, replace(NODE, says={**DEBIAN, "resolv": "bmFtZXNlcnZlciAxMjcuMC4wLjUzCg=="})],
        {},
        [
            "n1: /etc/resolv.conf names no server that pods can reach, and CoreDNS asks those of it; set dns_upstreams "
            'in group_data/all.py, such as ["192.168.80.1"], or to [] for no names outside the cluster'
        ],
    ),
    "an address that is on none of the machine's interfaces": (
        [replace(MASTER, says={**DEBIAN, "address": "eth0 10.1.0.5/24"}), NODE],
        {},
        [
            "m1: no interface has its address 192.168.80.10; it has 10.1.0.5: say in the inventory which of them the "
            'other machines reach, such as {"ssh_hostname": "192.168.80.10", "address": "10.1.0.5"}'
        ],
    ),
    "a distribution without a Docker of its own": (
        [MASTER, replace(NODE, says=RED_HAT)],
        {"docker_source": "distribution"},
        [
            "n1: RHEL-likes have no Docker of their own, their package docker is Podman; set docker_source = "
            '"docker-ce" in group_data/all.py, and docker_repository to a mirror that the machine reaches'
        ],
    ),
    "names of pyinfra's own that are misspelled": (
        [MASTER, replace(NODE, data={"ssh_usr": "you"})],
        {"_sduo": True, "_mine": "a variable of this file"},
        [
            "group_data/all.py: unknown setting _sduo; did you mean _sudo?",
            "inventory: n1: unknown setting ssh_usr; did you mean ssh_user?",
        ],
    ),
    "one machine twice": (
        [MASTER, NODE, replace(NODE, address="192.168.80.12")],
        {},
        [
            "inventory: machines lists n1 2 times; each machine is listed once, under its own name",
            "inventory: node lists n1 2 times; each machine is listed once, under its own name",
        ],
    ),
    "a VRRP id out of range": (
        SMALL,
        {"vrrp_router_id": 256},
        ["group_data/all.py: vrrp_router_id is 256: input should be less than or equal to 255"],
    ),
    "Services in the machines' own network": (
        [replace(MASTER, says={**DEBIAN, "address": "eth0 192.168.80.10/24"}), NODE],
        {"service_cidr": "192.168.80.128/25", "dns_address": "192.168.80.130"},
        [
            "m1: service_cidr 192.168.80.128/25 overlaps its network 192.168.80.0/24 (eth0); "
            'set service_cidr = "10.96.0.0/25", and dns_address = "10.96.0.2" in group_data/all.py: no machine uses it'
        ],
    ),
    "errors of two machines": (
        [replace(MASTER, says={**DEBIAN, "uid": "1000"}), replace(NODE, says={**DEBIAN, "docker": " 29.1.0  4"})],
        {},
        [
            "m1: commands run as user 1000, root is needed; "
            "set _sudo = True in group_data/all.py, or connect with --ssh-user root",
            "n1: Docker 29 is installed; Kubernetes 1.20.15 needs one below 29: remove "
            "it, and the deploy installs one that fits, or put an older one in its place",
        ],
    ),
    "releases without a place": (
        SMALL,
        {"artifacts_dir": "/no/such/directory"},
        [
            "group_data/all.py: artifacts_dir /no/such/directory is not a directory that can be read: "
            "create it, or remove the setting"
        ],
    ),
}


@pytest.mark.parametrize("situation", ERRORS)
def test_a_mistake_is_told(project: Project, situation: str) -> None:
    machines, settings, message = ERRORS[situation]
    ran = project.plan(machines, **settings)
    assert ran.code == 1
    assert ran.message == message
    assert not (project.directory / ".kubeinfra").exists()


NOT_PYTHON = {
    "a syntax error in settings": (
        "group_data/lb.py",
        "virtual_ip = (\n",
        "group_data/lb.py, line 1: not valid Python, '(' was never closed; correct that line",
    ),
    "an exception in settings": (
        "group_data/all.py",
        "\nservice_cidr = net\n",
        "group_data/all.py, line 2: NameError: name 'net' is not defined; correct that line",
    ),
    "a syntax error in the inventory": (
        "inventory.py",
        'machines = ["a]\n',
        "inventory.py, line 1: not valid Python, unterminated string literal (detected at line 1); correct that line",
    ),
    "an exception in the inventory": (
        "inventory.py",
        "machines = [1 / 0]\n",
        "inventory.py, line 1: ZeroDivisionError: division by zero; correct that line",
    ),
    "a list of another shape": (
        "inventory.py",
        'machines = [("m1",)]\n',
        "inventory: pyinfra cannot read its lists (tuple index out of range); write machines as a list of "
        '("name", {"ssh_hostname": "192.168.80.10"}), and each group as a list of names',
    ),
}


@pytest.mark.parametrize("situation", NOT_PYTHON)
def test_a_file_that_python_cannot_execute_is_told_by_file_and_line(project: Project, situation: str) -> None:
    file, text, message = NOT_PYTHON[situation]
    (project.directory / file).write_text(text)
    ran = project.run("--dry", "inventory.py", "deploy.py")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[-1] == f"--> pyinfra error: {message}"
    assert "Traceback" not in ran.err
    assert not (project.directory / "pyinfra-debug.log").exists()


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("node = [", "nodes = [", "inventory: group nodes (n1) is none of master, node, etcd, lb; did you mean node?"),
        (
            "node = ['@fake/n1'",
            "node = ['@fake/n11'",
            "inventory: node has n11, which is not in machines; did you mean n1?",
        ),
    ],
)
def test_a_misspelled_name_of_the_inventory_is_told(project: Project, before: str, after: str, message: str) -> None:
    (project.directory / "inventory.py").write_text(inventory_of(SMALL).replace(before, after))
    ran = project.run("--dry", "inventory.py", "deploy.py")
    assert ran.message == [message]


def test_a_clock_that_is_wrong_although_a_time_daemon_runs_is_told(project: Project) -> None:
    slow = replace(NODE, says={**DEBIAN, "time": "systemd-timesyncd", "clock": "1000000000"})
    (message,) = project.plan([MASTER, slow]).message
    assert re.match(r"n1: its clock is \d{9} s behind this controller's; certificates need clocks that agree", message)


def test_a_clock_that_the_deploy_puts_right_is_no_mistake(project: Project) -> None:
    plan = project.plan([MASTER, replace(NODE, says={**DEBIAN, "clock": "1000000000"})])
    assert plan.code == 0
    assert plan.hosts("host | clock") == ("n1",), "it is asked again after chrony had its chance"


def test_a_group_that_the_inventory_does_not_even_name_is_told(project: Project) -> None:
    text = inventory_of(SMALL)
    (project.directory / "inventory.py").write_text(text.replace("etcd = ['@fake/m1']", ""))
    assert project.run("--dry", "inventory.py", "deploy.py").message == [
        "inventory: group etcd is empty; it needs at least one machine"
    ]


def test_a_mistake_on_the_command_line_is_told(project: Project) -> None:
    ran = project.plan(SMALL, "--data", "kubernetes_version=1.38.0", "--data", "colour=blue")
    assert ran.message == [
        "--data: unknown setting colour; docs/settings.md lists every setting",
        "--data: kubernetes_version is '1.38.0': it is newer than what this checkout knows, 1.20 to 1.37; "
        "the nearest is '1.37.2'",
    ]


def test_a_run_stops_at_the_same_mistake_before_it_touches_a_machine(project: Project) -> None:
    ran = project.pyinfra([replace(MASTER, says={**DEBIAN, "uid": "1000"}), NODE], "-y", "--debug")
    assert ran.message[0].startswith("m1: commands run as user 1000")
    assert len(set(ran.commands)) == 1, "nothing but the one question to each machine"


def test_an_even_number_of_members_is_a_warning(project: Project) -> None:
    ran = project.plan([MASTER, replace(NODE, groups="node etcd")], file="tasks/host.py")
    assert ran.code == 0
    assert ran.err.count("group etcd has 2 members") == 1, "told once, not once for each host"


# Artifacts


def test_a_plan_tells_what_is_not_at_hand_and_a_run_ends_before_anything_is_changed(project: Project) -> None:
    nowhere = {"artifact_mirror": "http://127.0.0.1:9"}
    plan = project.plan(SMALL, **nowhere)
    assert plan.code == 0
    fetched = [sentence.split(" (")[0] for sentence in plan.said("m1") if sentence.startswith("fetch ")]
    assert fetched == ["fetch cni-plugins 1.3.0", "fetch etcd 3.4.26", "fetch kubernetes 1.20.15"]
    ran = project.pyinfra(SMALL, "-y", "--debug", **nowhere)
    assert [one.partition(" (amd64")[0] for one in ran.message] == [
        "cni-plugins 1.3.0",
        "etcd 3.4.26",
        "kubernetes 1.20.15",
    ]
    for message in ran.message:
        assert " cannot be had: artifacts_dir is not set; " in message
        assert "http://127.0.0.1:9/" in message
        assert ". Next: put the file at <artifacts_dir>/" in message
    assert len(ran.commands) == len(SMALL), "the one question to each machine"
    kept = project.directory / ".kubeinfra" / "kubernetes"
    assert not (kept / "ca").exists() and not (kept / "secrets").exists(), "nothing is made for a cluster yet"


# CAs


@pytest.mark.parametrize(
    "arguments", [(), ("--limit", "@fake/n1")], ids=["on the machine", "on one that the run leaves out"]
)
def test_a_controller_without_cas_stops_at_a_machine_that_trusts_one(
    project: Project, arguments: tuple[str, ...]
) -> None:
    theirs = CA.create("kubernetes-ca", 10)
    trusting = MASTER.trusting("kubernetes", theirs.signing_pem)
    ran = project.plan([trusting, NODE], *arguments)
    assert ran.message == [
        f"m1: trusts CA kubernetes {theirs.fingerprint}; {project.directory}/.kubeinfra/kubernetes has none. "
        "Bring that directory from the controller that set the cluster up; a second CA would cut it off"
    ]


def test_nodes_alone_need_the_ca_that_the_control_plane_creates(project: Project) -> None:
    ran = project.plan(SMALL, "--limit", "node", file="tasks/node.py")
    assert ran.message == [
        f"{project.directory}/.kubeinfra/kubernetes has no CA kubernetes; run tasks/control_plane.py first, "
        "or bring that directory from the controller that set the cluster up"
    ]


def test_a_controller_of_another_cluster_stops_too(project: Project) -> None:
    ours = ControllerDirectory(project.directory / ".kubeinfra/kubernetes").create_ca("etcd", 10)
    theirs = CA.create("etcd-ca", 10)
    ran = project.plan([MASTER.trusting("etcd", theirs.signing_pem), NODE])
    (message,) = ran.message
    assert message.startswith(f"m1: trusts CA etcd {theirs.fingerprint}; ")
    assert f"has another one, {ours.fingerprint}. " in message


@pytest.mark.parametrize(
    "arguments", [(), ("--limit", "@fake/n1")], ids=["on the machine", "on one that the run leaves out"]
)
def test_a_controller_that_lost_a_shared_secret_stops(project: Project, arguments: tuple[str, ...]) -> None:
    state = ControllerDirectory(project.directory / ".kubeinfra/kubernetes")
    for name in COMMON_NAMES:
        state.create_ca(name, 10)
    ran = project.plan([replace(MASTER, says={**DEBIAN, "secret": "service-account-key"}), NODE], *arguments)
    assert ran.message == [
        f"m1: has the cluster's service-account-key, but {project.directory}/.kubeinfra/kubernetes does not; "
        "restore that directory from a backup, or bring it from the controller that set the cluster up"
    ]


def test_a_damaged_controller_stops_and_names_the_file(project: Project) -> None:
    secrets = project.directory / ".kubeinfra/kubernetes/secrets"
    secrets.mkdir(parents=True, mode=0o700)
    for directory in (secrets.parent, secrets.parent.parent):
        directory.chmod(0o700)
    (secrets / "vrrp-password").write_text("token")
    (secrets / "vrrp-password").chmod(0o644)
    (message,) = project.plan(SMALL).message
    assert message.startswith(f"{secrets}/vrrp-password: has mode 0644, ")


# Load balancers

BALANCED = [MASTER, NODE, Machine("lb1", "192.168.80.13", "lb"), Machine("lb2", "192.168.80.14", "lb")]


def test_a_virtual_address_of_another_subnet_is_told(project: Project) -> None:
    ran = project.plan(BALANCED, virtual_ip="192.168.81.100")
    assert ran.message[0].endswith(
        "virtual_ip 192.168.81.100 is not a usable address of its subnet 192.168.80.0/24 on eth0; "
        "set virtual_ip in group_data/lb.py to a free address of that subnet"
    )


def test_a_virtual_address_of_a_stranger_is_told(project: Project) -> None:
    seen = {"ip -o -4 addr show": ["address=eth0 192.168.80.13/24", "answers=02:00:00:00:00:99"]}
    machines = [replace(one, answers=seen) if one.name == "lb1" else one for one in BALANCED]
    ran = project.plan(machines, virtual_ip="192.168.80.100")
    assert ran.message == [
        "lb1: somebody who is no load balancer of this inventory answers for virtual_ip 192.168.80.100 "
        "(02:00:00:00:00:99); take a free address, or switch that machine off"
    ]
