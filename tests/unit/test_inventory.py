"""`python -m kubeinfra` reads an inventory as pyinfra does, connects nowhere, and reports errors as sentences."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cluster_samples import RELEASE
from pyinfra_cli.inventory import make_inventory
from pyinfra_cli.util import PYTHON_CODES

from kubeinfra.__main__ import main
from kubeinfra.run.inventory import from_inventory, load

ROOT = Path(__file__).resolve().parents[2]
RELEASED = f'kubernetes_version = "{RELEASE}"\n'

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
    (tmp_path / "group_data/all.py").write_text('ssh_user = "me"\n_sudo = True\ncluster_name = "trial"\n' + RELEASED)
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


def test_an_error_names_the_file_that_it_is_in(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings(project, "etcd.py", 'etcd_compaction_retension = "2h"\n')
    settings(project, "master.py", 'apiserver_port = "x"\n')
    assert problems(capsys) == [
        "group_data/etcd.py: unknown setting etcd_compaction_retension; did you mean etcd_compaction_retention?",
        "group_data/master.py: apiserver_port is 'x': "
        "input should be a valid integer, unable to parse string as an integer",
    ]


def test_two_groups_that_disagree_are_an_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings(project, "master.py", "apiserver_port = 8443\n")
    settings(project, "node.py", "apiserver_port = 7443\n")
    assert problems(capsys) == [
        "group_data/node.py: apiserver_port is 7443, but group_data/master.py says 8443; keep one of them"
    ]
    settings(project, "node.py", "apiserver_port = 8443\n")
    assert check() == 0


def test_settings_that_are_not_read_are_an_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings(project, "machines.py", "ssh_port = 2222\n")
    assert check() == 0, "a group of the user's own may say how to connect"
    capsys.readouterr()
    settings(project, "nodes.py", 'kube_proxy_mode = "iptables"\n')
    assert problems(capsys) == ["group_data/nodes.py: no machine is in group nodes; did you mean node.py?"]
    (project / "group_data/nodes.py").unlink()
    settings(project, "machines.py", 'kube_proxy_mode = "iptables"\n')
    assert problems(capsys) == [
        "group_data/machines.py: kube_proxy_mode would not be read; "
        "settings of the cluster stand in all.py, master.py, node.py, etcd.py, lb.py"
    ]
    settings(project, "machines.py", "")
    settings(project, "gpus.py", "node_labels = {}\n")
    assert problems(capsys) == [
        "group_data/gpus.py: no machine is in group gpus; name it all.py, or as a group of the inventory"
    ]
    settings(project, "gpus.py", "")
    settings(project, "masters.py", "ssh_port = 2222\n")
    assert problems(capsys) == ["group_data/masters.py: no machine is in group masters; did you mean master.py?"]


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


def test_errors_of_machines_and_settings_come_together(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings(project, "all.py", 'cluster_cidr = "10.0.0.0/16"\nkubernetes_version = "1.19.0"\ncolour = "blue"\n')
    text = INVENTORY.replace("192.168.80.12", "192.168.80.11").replace('etcd = ["m1", "n1", "n2"]\n', "")
    (project / "inventory.py").write_text(text)
    assert [line.split(";")[0] for line in problems(capsys)] == [
        "group_data/all.py: unknown setting colour",
        "group_data/all.py: kubernetes_version is '1.19.0': it is older than what this checkout knows, 1.20 to 1.37",
        "inventory: group etcd is empty",
        "inventory: n1 and n2 have the same address 192.168.80.11",
        "default: service_cidr 10.0.0.0/24 overlaps cluster_cidr 10.0.0.0/16",
    ]


def test_an_even_number_of_members_is_a_warning_and_no_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "inventory.py").write_text(INVENTORY.replace('etcd = ["m1", "n1", "n2"]', 'etcd = ["m1", "n1"]'))
    assert check() == 0
    assert capsys.readouterr().err.startswith("warning: inventory: group etcd has 2 members; ")


def test_a_missing_inventory_is_reported(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "inventroy.py"]) == 1
    assert capsys.readouterr().err == "inventroy.py: no such inventory; name a file such as inventory.py\n"


NOT_PYTHON = [
    (
        "all.py",
        "a = 1\nb = (\n",
        "group_data/all.py, line 2: not valid Python, '(' was never closed; correct that line",
    ),
    ("all.py", b"a = '\xff'\n", "group_data/all.py: not UTF-8 at byte 5; save it as UTF-8"),
    (
        "all.py",
        "import os\n\nservice_cidr = os.environ['KUBE_NET']\n",
        "group_data/all.py, line 3: KeyError: 'KUBE_NET'; correct that line",
    ),
    (
        "node.py",
        "def size(n):\n    return n / 0\n\n\nbackup_keep = size(3)\n",
        "group_data/node.py, line 2: ZeroDivisionError: division by zero; correct that line",
    ),
    (
        "../inventory.py",
        "machines = []\nmaster = mahcines\n",
        "inventory.py, line 2: NameError: name 'mahcines' is not defined; correct that line",
    ),
    (
        "../inventory.py",
        "import settings_of_mine\n",
        "inventory.py, line 1: ModuleNotFoundError: No module named 'settings_of_mine'; correct that line",
    ),
    ("../inventory.py", "if True:\nx = 1\n", "inventory.py, line 2: not valid Python, expected an indented block"),
    (
        "../inventory.py",
        'machines = [("m1", "192.168.80.10")]\n',
        "inventory: pyinfra cannot read its lists (dictionary update sequence element #0 has length 1; 2 is required); "
        'write machines as a list of ("name", {"ssh_hostname": "192.168.80.10"}), and each group as a list of names',
    ),
    (
        "../inventory.py",
        INVENTORY + 'node = ("n1", "n2")\n',
        "inventory: node is no list of names; write [ ] in place of ( )",
    ),
]


@pytest.mark.parametrize(("file", "text", "sentence"), NOT_PYTHON)
def test_a_file_that_python_cannot_execute_is_reported_with_file_and_line(
    project: Path, capsys: pytest.CaptureFixture[str], file: str, text: str | bytes, sentence: str
) -> None:
    (project / "group_data" / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    (told,) = problems(capsys)
    assert told.startswith(sentence)


def test_all_files_that_are_not_python_are_reported_at_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "lab").mkdir()
    for file in ("group_data/all.py", "group_data/lb.py", "lab/all.py", "inventory.py"):
        (project / file).write_text("a = (\n")
    assert [line.split(",")[0] for line in problems(capsys, "--group-data", "lab")] == [
        "inventory.py",
        "group_data/all.py",
        "group_data/lb.py",
        "lab/all.py",
    ]


def test_an_error_in_a_module_that_a_file_imports_is_told_of_that_module(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "of_mine.py").write_text("a = (\n")
    settings(project, "all.py", "import sys\nsys.path.insert(0, '.')\nimport of_mine\n")
    assert problems(capsys) == ["of_mine.py, line 1: not valid Python, '(' was never closed; correct that line"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            'node = ["n1", "n22"]',
            ["inventory: node has n22, which is not in machines; did you mean n2?"],
        ),
        (
            'node = ["n1", "n2", "worker-of-mine"]',
            [
                "inventory: node has worker-of-mine, which is not in machines; "
                "add its line to machines, or take the name out"
            ],
        ),
        (
            "nodes = node; node = []",
            ["inventory: group nodes (n1, n2) is none of master, node, etcd, lb; did you mean node?"],
        ),
        (
            "control_plane = master; master = []",
            ["inventory: group control_plane (m1) is none of master, node, etcd, lb; did you mean master?"],
        ),
    ],
)
def test_names_and_groups_that_are_misspelled(
    project: Path, capsys: pytest.CaptureFixture[str], line: str, told: list[str]
) -> None:
    (project / "inventory.py").write_text(f"{INVENTORY}{line}\n")
    assert problems(capsys) == told


def test_missing_directories_are_reported_with_the_other_errors(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "file").write_text("")
    text = 'artifacts_dir = "nowhere"\ncache_dir = "file/cache"\napiserver_port = 0\n'
    settings(project, "all.py", text)
    assert problems(capsys) == [
        "group_data/all.py: artifacts_dir nowhere is not a directory that can be read: "
        "create it, or remove the setting",
        "group_data/all.py: cache_dir file/cache is not a directory, and none can be made there: name another one",
        "group_data/all.py: apiserver_port is 0: input should be greater than or equal to 1",
    ]
    (project / "nowhere").mkdir()
    settings(project, "all.py", 'artifacts_dir = "nowhere"\ncache_dir = "new/cache"\n')
    assert check() == 0


def test_a_directory_of_a_user_who_is_not_known(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings(project, "all.py", 'artifacts_dir = "~nobody-of-that-name/a"\ncache_dir = "~nobody-of-that-name/b"\n')
    assert [line.partition(" is not ")[0] for line in problems(capsys)] == [
        "group_data/all.py: artifacts_dir ~nobody-of-that-name/a",
        "group_data/all.py: cache_dir ~nobody-of-that-name/b",
    ]


def test_what_data_says_on_the_command_line_is_for_every_machine(project: Path) -> None:
    """`--data` is pyinfra's last word on any setting, so on those that differ by machine too."""
    (project / "inventory.py").write_text(INVENTORY.replace('"hostname": "node-two"', '"node_labels": {"a": "own"}'))
    settings(project, "node.py", 'node_labels = {"b": "group"}\n')
    PYTHON_CODES.clear()
    inventory = make_inventory("inventory.py", {"node_labels": {"c": "all"}}, cwd=str(project))
    found, _ = from_inventory(inventory)
    assert [found.settings_of(machine).node_labels for machine in found.nodes] == [{"c": "all"}, {"c": "all"}]


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
    assert ran.stderr == "group_data/all.py: unknown setting colour; docs/settings.md lists every setting\n"


def test_the_inventory_that_comes_with_the_project_is_sound(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert check() == 0
    assert capsys.readouterr().err == ""
