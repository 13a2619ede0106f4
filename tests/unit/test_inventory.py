"""`python -m kubeinfra` reads an inventory as pyinfra does, connects nowhere, and tells mistakes as sentences."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pyinfra_cli.util import PYTHON_CODES

from kubeinfra.__main__ import main
from kubeinfra.run.inventory import load

ROOT = Path(__file__).resolve().parents[2]

INVENTORY = """\
machines = [
    ("m1", {"ssh_hostname": "192.168.80.10"}),
    ("n1", {"ssh_hostname": "192.168.80.11", "ssh_port": 2222}),
    ("n2", {"ssh_hostname": "192.168.80.12", "hostname": "node-two"}),
]
master = ["m1"]
node = ["n1", "n2"]
etcd = ["m1", "n1", "n2"]
lb = []
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory such as a user's own, with an inventory and settings in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "group_data").mkdir()
    (tmp_path / "inventory.py").write_text(INVENTORY)
    (tmp_path / "group_data/all.py").write_text('ssh_user = "me"\n_sudo = True\ncluster_name = "trial"\n')
    return tmp_path


def settings(project: Path, file: str, text: str) -> None:
    (project / "group_data" / file).write_text(text)


def check(*arguments: str) -> int:
    """The exit code; pyinfra keeps the code of a file that it has read once, which a new process would not."""
    PYTHON_CODES.clear()
    return main(["check", "inventory.py", *arguments])


def problems(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """What `check` says on stderr when it fails; nothing on stdout."""
    assert check(*arguments) == 1
    told = capsys.readouterr()
    assert told.out == ""
    return told.err.splitlines()


def test_a_sound_inventory_is_summed_up(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check() == 0
    told = capsys.readouterr()
    assert told.err == ""
    name, *machines, endpoint = told.out.splitlines()
    assert name.startswith("trial: Kubernetes 1.20.15, etcd 3.4.")
    assert [" ".join(line.split()) for line in machines] == [
        "m1 192.168.80.10 etcd master",
        "n1 192.168.80.11 etcd node",
        "n2 192.168.80.12 etcd node",
    ]
    assert endpoint == "  clients reach the API servers at 192.168.80.10:6443"


def test_reading_changes_nothing_on_the_controller(project: Path) -> None:
    before = sorted(project.rglob("*"))
    check()
    assert [path for path in sorted(project.rglob("*")) if "__pycache__" not in path.parts] == before


def test_a_settings_file_of_a_role_speaks_for_the_whole_cluster(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings(project, "master.py", "apiserver_port = 8443\n")
    assert check() == 0
    assert capsys.readouterr().out.endswith("192.168.80.10:8443\n")


def test_a_mistake_names_the_file_that_it_is_in(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings(project, "etcd.py", 'etcd_compaction_retension = "2h"\n')
    settings(project, "master.py", 'apiserver_port = "x"\n')
    assert problems(capsys) == [
        "group_data/etcd.py: unknown setting etcd_compaction_retension; did you mean etcd_compaction_retention?",
        "group_data/master.py: apiserver_port is 'x': "
        "input should be a valid integer, unable to parse string as an integer",
    ]


def test_two_roles_that_disagree_are_a_mistake(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings(project, "master.py", "apiserver_port = 8443\n")
    settings(project, "node.py", "apiserver_port = 7443\n")
    assert problems(capsys) == [
        "group_data/node.py: apiserver_port is 7443, but group_data/master.py says 8443; keep one of them"
    ]
    settings(project, "node.py", "apiserver_port = 8443\n")
    assert check() == 0


def test_settings_that_nobody_reads_are_a_mistake(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings(project, "machines.py", "ssh_port = 2222\n")
    assert check() == 0, "a group of the user's own may say how to connect"
    capsys.readouterr()
    settings(project, "nodes.py", 'kube_proxy_mode = "iptables"\n')
    assert problems(capsys) == [
        "group_data/nodes.py: kube_proxy_mode would not be read; "
        "settings stand in all.py, master.py, node.py, etcd.py, lb.py"
    ]


def test_what_may_differ_by_machine_stands_in_the_file_of_any_group(project: Path) -> None:
    lines = INVENTORY.replace('"hostname": "node-two"', '"node_labels": {"disk": "own"}')
    (project / "inventory.py").write_text(f'{lines}fast = ["n1", "n2"]\n')
    settings(project, "fast.py", 'node_labels = {"disk": "ssd", "room": "1"}\nssh_port = 2222\n')
    settings(project, "node.py", 'kubelet_extra_config = {"maxPods": 200}\n')
    PYTHON_CODES.clear()
    found, _ = load(Path("inventory.py"))
    first, second = (found.settings_of(found.machine(name)) for name in ("n1", "n2"))
    assert (first.node_labels, second.node_labels) == ({"disk": "ssd", "room": "1"}, {"disk": "own", "room": "1"})
    assert first.kubelet_extra_config == second.kubelet_extra_config == {"maxPods": 200}
    assert found.settings_of(found.machine("m1")).kubelet_extra_config == {}


def test_roles_that_disagree_on_a_password_do_not_say_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings(project, "master.py", 'vrrp_password = "one"\n')
    settings(project, "lb.py", 'vrrp_password = "two"\n')
    (told,) = problems(capsys)
    assert (
        told == "group_data/lb.py: vrrp_password is (secret), but group_data/master.py says (secret); keep one of them"
    )


def test_further_group_data_wins(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "lab").mkdir()
    (project / "lab/all.py").write_text('cluster_name = "lab"\n')
    assert check("--group-data", str(project / "lab")) == 0
    assert capsys.readouterr().out.startswith("lab: ")


def test_mistakes_of_machines_and_settings_come_together(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings(project, "all.py", 'cluster_cidr = "10.0.0.0/16"\nkubernetes_version = "1.19.0"\ncolour = "blue"\n')
    text = INVENTORY.replace("192.168.80.12", "192.168.80.11").replace('etcd = ["m1", "n1", "n2"]\n', "")
    (project / "inventory.py").write_text(text)
    assert [line.split(";")[0] for line in problems(capsys)] == [
        "group_data/all.py: unknown setting colour",
        "inventory: group etcd is empty",
        "inventory: n1 and n2 have the same address 192.168.80.11",
        "group_data/all.py: kubernetes_version '1.19.0' is not supported: supported: 1.20.15",
        "default: service_cidr 10.0.0.0/24 overlaps cluster_cidr 10.0.0.0/16",
    ]


def test_an_even_number_of_members_is_a_warning_and_no_mistake(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "inventory.py").write_text(INVENTORY.replace('etcd = ["m1", "n1", "n2"]', 'etcd = ["m1", "n1"]'))
    assert check() == 0
    assert capsys.readouterr().err.startswith("warning: inventory: group etcd has 2 members; ")


def test_an_inventory_that_is_not_there_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "inventroy.py"]) == 1
    assert capsys.readouterr().err == "inventroy.py: no such inventory; name a file such as inventory.py\n"


def test_the_command_itself_exits_with_1_and_shows_no_traceback(project: Path) -> None:
    settings(project, "all.py", "colour = 1\n")
    ran = subprocess.run(
        [sys.executable, "-m", "kubeinfra", "check", "inventory.py"],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "group_data/all.py: unknown setting colour; README.md lists every setting\n"


def test_the_inventory_that_comes_with_the_project_is_sound(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert check() == 0
    assert capsys.readouterr().err == ""
