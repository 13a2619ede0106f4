"""Preflight alone: many machine states at once are told in one run, on the screen and as JSON; nothing is changed."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import defaultdict
from typing import Any

import pytest
from simulated import Machine, Project, Ran

NFT = {
    "nftables": [
        {"table": {"family": "inet", "name": "mine", "handle": 1}},
        {
            "chain": {
                "family": "inet",
                "table": "mine",
                "name": "in",
                "type": "filter",
                "hook": "input",
                "policy": "drop",
            }
        },
    ]
}


def machine(name: str, last: int, groups: str, *lines: str) -> Machine:
    """Lines are of its survey, but for those with an equals sign."""
    own = [
        f"address=eth0 192.168.80.{last}/24",
        "survey kernel 5.10.0-30-amd64",
        "survey route default via 192.168.80.1",
    ]
    said = [line if "=" in line.partition(" ")[0] else f"survey {line}" for line in lines]
    return Machine(name, f"192.168.80.{last}", groups).seen(*own, *said)


MACHINES = [
    machine(
        "m1",
        10,
        "master etcd",
        "link eth0 1500 52:54:00:00:00:01",
        "etcd-data /var/lib/etcd/default.etcd 259200",
        f"fsync {' '.join(['0.002'] * 90 + ['0.080'] * 10)}",
        "memory 1000000",
    ),
    machine(
        "n1",
        11,
        "node",
        "link eth0 1500 52:54:00:00:00:02",
        "machine-id 0123456789abcdef",
        "address=eth1 10.244.7.9/16",
        "ssh 2001:db8::1 50000 2001:db8::11 22",
        "drop-in /etc/systemd/system/kubelet.service.d/10-kubeadm.conf Environment ExecStart",
    ),
    machine(
        "n2",
        12,
        "node",
        "link eth0 1500 52:54:00:00:00:02",
        "machine-id 0123456789abcdef",
        "cni 05-cilium.conflist",
        "nameserver 10.0.0.2",
        f"nft {b64encode(json.dumps(NFT).encode()).decode()}",
    ),
    machine(
        "n3",
        13,
        "node",
        "link eth0 1400 52:54:00:00:00:04",
        "link cni0 1450 52:54:00:00:00:05",
        'listen tcp *:10250 users:(("k3s-server",pid=77,fd=9))',
        "process 77|/usr/local/bin/k3s|/system.slice/k3s.service|k3s-server",
        "clock=1000000000",
    ),
]
TOLD = {
    "error": {
        "networks": {"n1", "n2"},
        "etcd-data": {"m1"},
        "unique-machine-id": {"n1", "n2"},
        "unique-mac": {"n1", "n2"},
        "ssh-over-ipv6": {"n1"},
        "unit-drop-ins": {"n1"},
        "cni-configuration": {"n2"},
        "firewall-rules": {"n2"},
        "free-ports": {"n3"},
        "other-clusters": {"n3"},
        "left-over-interfaces": {"n3"},
    },
    "warning": {"etcd-disk-latency": {"m1"}, "memory": {"m1"}, "mtu": {"n3"}, "clock": {"n3"}},
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran, dict[str, str]]:
    """tasks/preflight.py, run as a user would; and the controller's files before it."""
    project = Project(tmp_path_factory.mktemp("preflight"))
    project.write(MACHINES)
    with (project.directory / "group_data/all.py").open("a") as settings:
        settings.write('preflight_ignore = ["mtu"]\n')
    before = project.files()
    ran = project.run("-y", "--data", "preflight_json=found.json", "inventory.py", "tasks/preflight.py")
    return project, ran, before


def test_all_states_are_told_in_one_run(alone: tuple[Project, Ran, dict[str, str]]) -> None:
    project, ran, _ = alone
    document = json.loads((project.directory / "found.json").read_text())
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in document["findings"]:
        found[one["level"]][one["check"]].add((one["machine"] or "cluster").removeprefix("@fake/"))
    expected: dict[str, Any] = {
        **TOLD,
        "note": {"end-of-life": {"cluster"}},
        "warning": {name: who for name, who in TOLD["warning"].items() if name != "mtu"},
    }
    assert found == expected, "mtu is a warning that was silenced"
    assert all(one["remedy"] or one["check"] == "clock" for one in document["findings"])
    rows = ran.err.partition("--> pyinfra error")[0]
    for check in (*expected["error"], *expected["warning"]):
        assert f" {check} " in rows, f"the table lacks {check}"
    assert "mtu" not in ran.err


def test_the_errors_end_the_run_in_one_message(alone: tuple[Project, Ran, dict[str, str]]) -> None:
    _, ran, _ = alone
    message = "\n".join(ran.message)
    assert ran.code == 1
    assert (
        'n2: service_cidr 10.0.0.0/24 (the default) overlaps its name server 10.0.0.2; set service_cidr = "10.'
        in message
    )
    assert "n1, n2: machine-id 0123456789abcdef is that of n1 and n2; each machine needs its own: rm " in message
    assert "drops tcp 10250 from masters, udp 8472 from nodes (nft chain inet mine in: policy drop); let " in message
    assert len(ran.message) == 12, "one for each kind, and of networks for each machine"


def test_nothing_is_changed_neither_here_nor_there(alone: tuple[Project, Ran, dict[str, str]]) -> None:
    project, _, before = alone
    after = project.files()
    assert {path for path in after if before.get(path) != after[path]} == {"project/found.json"}
    asked = [one.command for one in project.sent]
    assert len(asked) == len(MACHINES), "one question each"
    assert all("files/preflight" not in one and 'echo "uid=$(id -u)"' in one for one in asked)
    assert not [one for one in project.sent if one.operation]


def test_an_ignored_name_that_is_no_check_is_told(project: Project) -> None:
    ran = project.plan(MACHINES, preflight_ignore=["etcd-disk-latancy", "root"])
    assert ran.message == [
        "group_data/all.py: preflight_ignore has 'etcd-disk-latancy', which is no check; "
        "did you mean 'etcd-disk-latency'?",
        "group_data/all.py: preflight_ignore has 'root', whose findings are errors, which cannot be ignored; "
        "take it out",
    ]
