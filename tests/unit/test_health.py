"""What each machine is asked about its health, and how the answers are parsed: a failed command is not healthy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cluster_samples import cluster, entry, guide, here
from local_machine import answer, program, shell
from rich.console import Console

from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.components.network import nodes_ready, pod_network
from kubeinfra.components.verify import traffic
from kubeinfra.facts.health import Awaited, Health
from kubeinfra.health.findings import contradictions, noted, unhealthy
from kubeinfra.health.questions import TO_PODS, Row, parse_answer, parse_answers, probes
from kubeinfra.operations.gates import waiting
from kubeinfra.reports.health import lines, table


def asked(name: str) -> list[tuple[str, str]]:
    found = guide()
    asks_api = name == "m1"
    return [(component, subject) for component, subject, _ in probes(here(found, name), asks_api)]


CONTROL_PLANE = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]


def test_every_machine_is_asked_about_its_own_components() -> None:
    assert asked("n1") == [("etcd", "etcd02"), ("pod network", "n1"), ("flannel.1", "n1"), ("kube-proxy", "n1")]
    assert asked("lb1") == [("nginx", "lb1"), ("virtual address", "lb1")]
    assert asked("m2") == [(component, "m2") for component in (*CONTROL_PLANE, TO_PODS)]
    assert asked("m1") == [
        ("etcd", "etcd01"),
        *((component, "m1") for component in (*CONTROL_PLANE, TO_PODS)),
        ("leases", "leaders"),
        ("node", "192.168.80.11 192.168.80.12"),
    ]


def test_flannels_interface_is_checked_only_if_there_is_one() -> None:
    found = cluster(flannel_backend="host-gw")
    components = [component for component, _, _ in probes(here(found, "n1"), False)]
    assert components == ["etcd", "pod network", "kube-proxy"]


def test_every_question_is_a_command_that_sh_understands() -> None:
    found = guide()
    for machine in found.machines:
        for _, _, command in probes(here(found, machine.name), True):
            checked = shell(f"sh -n <<'END'\n{command}\nEND")
            assert checked.returncode == 0, checked.stderr


NODE = '{"metadata": {"annotations": {%s}}, "spec": {"podCIDR": "%s", "podCIDRs": ["%s"]}, "status": {}}'
OF_FLANNEL = '"flannel.alpha.coreos.com/public-ip": "10.1.1.1"'


@pytest.mark.parametrize(
    ("given", "flannel", "bridge", "annotations", "healthy"),
    [
        ("10.244.1.0/24", "10.244.1.1/24", "10.244.1.1/24", OF_FLANNEL, True),
        ("10.244.1.128/25", "10.244.1.129/25", "10.244.1.129/25", OF_FLANNEL, True),
        ("10.244.1.0/24", "10.244.1.1/24", "", OF_FLANNEL, True),  # no pod yet
        ("10.244.2.0/24", "10.244.1.1/24", "10.244.1.1/24", OF_FLANNEL, False),
        ("10.244.2.0/24", "10.244.2.1/24", "10.244.1.1/24", OF_FLANNEL, False),
        ("10.244.1.128/25", "10.244.1.1/25", "10.244.1.1/25", OF_FLANNEL, False),
        ("", "10.244.1.1/24", "10.244.1.1/24", OF_FLANNEL, False),
        ("10.244.1.0/24", "10.244.1.1/24", "10.244.1.1/24", "", False),  # a Node that was deleted and came back
        ("10.244.1.0/24", "", "", "", True),  # flannel has not started yet
    ],
)
def test_pods_are_on_the_network_of_their_node(
    tmp_path: Path, given: str, flannel: str, bridge: str, annotations: str, healthy: bool
) -> None:
    found = guide()
    program(tmp_path, "curl", f"echo '{NODE % (annotations, given, given)}'")
    program(tmp_path, "ip", f"echo '6: cni0    inet {bridge} brd'" if bridge else "exit 1")
    if flannel:
        (tmp_path / "subnet.env").write_text(f"FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET={flannel}\n")
    command = pod_network(found.machine("n1")).replace("/run/flannel", str(tmp_path))
    asked_here = shell(command, programs=tmp_path)
    assert (asked_here.returncode == 0) is healthy, asked_here.stderr
    assert healthy or (given or "no pod network yet") in asked_here.stderr


def test_a_node_that_has_just_registered_is_waited_for_until_it_has_a_network(tmp_path: Path) -> None:
    own = [NODE % (OF_FLANNEL, given, given) for given in ("", "10.244.1.0/24")]
    later = f"[ -e {tmp_path}/asked ] && echo '{own[1]}' || echo '{own[0]}'"
    program(tmp_path, "curl", f'[ "$1" = --version ] && exit; {later}; touch {tmp_path}/asked')
    program(tmp_path, "ip", "echo '6: cni0    inet 10.244.1.1/24 brd'")
    for name in ("pkill", "pgrep", "sleep"):
        program(tmp_path, name, f"echo {name} $* >>{tmp_path}/ran")
    (tmp_path / "subnet.env").write_text("FLANNEL_SUBNET=10.244.1.1/24\n")
    command = pod_network(guide().machine("n1"), move=True).replace("/run/flannel", str(tmp_path))
    moved = shell(command, programs=tmp_path)
    assert moved.returncode == 0, moved.stderr
    assert (tmp_path / "ran").read_text() == "sleep 0.5\n", "flannel and the bridge have it already"


def status(leader: int = 7, member: int = 7, **more: object) -> str:
    inner = {"header": {"member_id": member}, "version": "3.4.26", "dbSize": 2_500_000, "leader": leader, **more}
    return json.dumps([{"Endpoint": "https://192.168.80.10:2379", "Status": inner}])


ANSWERS = [
    ("etcd", "0", status(), True, "3.4.26 2.5 MB leader"),
    ("etcd", "0", status(member=8), True, "3.4.26 2.5 MB"),
    ("etcd", "0", status(leader=0, member=0), False, "3.4.26 2.5 MB leader"),
    ("etcd", "0", status(errors=["memberID:7 alarm:NOSPACE"]), False, "3.4.26 2.5 MB leader memberID:7 alarm:NOSPACE"),
    ("etcd", "0", "certificate has expired", False, "not an answer: certificate has expired"),
    ("etcd", "0", "[]", False, "not an answer: []"),
    ("etcd", "1", "context deadline exceeded", False, "context deadline exceeded"),
    ("leases", "0", "kube-controller-manager=m1_1 kube-scheduler=m2_2", True, None),
    ("leases", "0", "kube-controller-manager=m1_1 kube-scheduler=", False, None),
    ("leases", "0", "kube-controller-manager=m1_1", False, None),
    ("kube-apiserver", "0", "ok", True, None),
    ("kube-apiserver", "0", "[-]etcd failed", False, None),
    ("kube-scheduler", "0", "ok", True, None),
    ("kube-scheduler", "0", "", False, None),
    ("kube-scheduler", "7", "connection refused", False, None),
    ("flannel.1", "0", "flannel.1 UNKNOWN 10.244.0.0/32", True, None),
    ("flannel.1", "0", "", False, "flannel.1 has no address"),
    ("nginx", "0", "ok", True, None),
    ("nginx", "7", "connection refused", False, None),
    ("virtual address", "0", "stands by", True, None),
    (TO_PODS, "0", "reached", True, None),
    (TO_PODS, "1", "connection refused", False, None),
    ("virtual address", "1", "keepalived is failed", False, None),
    ("flannel.1", "1", 'Device "flannel.1" does not exist.', False, None),
]


@pytest.mark.parametrize(
    ("component", "code", "words", "healthy", "detail"), ANSWERS, ids=[f"{row[0]}: {row[2][:30]}" for row in ANSWERS]
)
def test_an_answer_is_parsed(component: str, code: str, words: str, healthy: bool, detail: str | None) -> None:
    assert parse_answer(component, "it", code, f"{words} ") == Row(
        component, "it", healthy, words if detail is None else detail
    )


LISTED = "c{0}, {1}, etcd0{0}, https://192.168.80.{0}:2380, https://192.168.80.{0}:2379, false"


def test_one_answer_has_every_node() -> None:
    said = (
        "n1 True v1.20.15 10.244.0.0/24;n2 Unknown v1.20.15 10.244.1.0/24;n9 True v1 10.244.9.0/24;n3 True v1.20.15 ;"
    )
    assert parse_answers("node", "n1 n2 n3 n4", "0", said) == [
        Row("node", "n1", True, "Ready v1.20.15 10.244.0.0/24"),
        Row("node", "n2", False, "not Ready v1.20.15 10.244.1.0/24"),
        Row("node", "n3", True, "Ready v1.20.15"),
        Row("node", "n4", False, 'nodes "n4" not found'),
    ]


@pytest.mark.parametrize(("names", "subject"), [("n1", "n1"), ("n1 n2", "all 2")])
def test_without_an_answer_about_the_nodes_none_is_healthy(names: str, subject: str) -> None:
    assert parse_answers("node", names, "1", "connection refused ") == [
        Row("node", subject, False, "connection refused")
    ]


def test_an_empty_answer_has_no_node() -> None:
    assert parse_answers("node", "n1", "0", "") == [Row("node", "n1", False, 'nodes "n1" not found')]


def test_no_command_about_nodes_is_longer_than_a_system_takes() -> None:
    """One argument may have 128 KiB (execve(2), MAX_ARG_STRLEN), and commands are quoted more than once on the way."""
    nodes = [entry(f"n{number}", f"192.168.{100 + number // 250}.{1 + number % 250}", "node") for number in range(1000)]
    found = cluster([entry("m1", "192.168.80.10", "master etcd node"), *nodes], cluster_cidr="10.240.0.0/12")
    asked = probes(here(found, "m1"), asks_api=True)
    commands = [Health().command(asked=asked), waiting(nodes_ready(found.nodes)).get_raw_value(), traffic(found)]
    assert [len(command) for command in commands if len(command) > 32 * 1024] == []


STARTED = {last: LISTED.format(last, "started") for last in (10, 11, 12, 13)}
URLS = [f"https://192.168.80.{last}:2380" for last in (10, 11, 12, 13)]
ALL_THREE = " ".join(URLS[:3])


@pytest.mark.parametrize(
    ("listed", "complaint"),
    [
        ([STARTED[12], STARTED[10], STARTED[11]], ""),
        ([*STARTED.values()], f"the members are {' '.join(URLS)}, not {ALL_THREE}"),
        ([STARTED[10]], f"the members are {URLS[0]}, not {ALL_THREE}"),
        (
            [STARTED[10], STARTED[11], LISTED.format(12, "unstarted")],
            f"the members are {ALL_THREE} (not started), not {ALL_THREE}",
        ),
    ],
)
def test_members_that_are_not_in_the_inventory_are_an_error(tmp_path: Path, listed: list[str], complaint: str) -> None:
    lines = "\\n".join(listed)
    program(tmp_path, "etcdctl", f"case $1 in member) printf '{lines}\\n' ;; *) echo '{status()}' ;; esac")
    found = guide()
    command = probes(here(found, "n1"), False)[0][2]
    said = shell(command.replace("/usr/local/bin/etcdctl", "etcdctl"), programs=tmp_path)
    assert said.stdout.strip() == (complaint or status()), said.stderr
    assert said.returncode == (1 if complaint else 0)


HOLDS, BY = "holds it", "stands by"


@pytest.mark.parametrize(
    ("details", "complaint"),
    [
        ([HOLDS, BY], ""),
        ([BY, HOLDS], ""),
        (
            [HOLDS, HOLDS],
            "lb1 and lb2 both hold the virtual address: VRRP (IP protocol 112) does not pass between them; look for a "
            "firewall, or another vrrp_password on one of them (journalctl -u keepalived)",
        ),
        ([BY, BY], "no load balancer holds the virtual address; journalctl -u keepalived says why"),
        ([BY], ""),  # the other was not asked
        ([], ""),
    ],
)
def test_one_load_balancer_holds_the_address(details: list[str], complaint: str) -> None:
    rows = [Row("virtual address", f"lb{number}", True, detail) for number, detail in enumerate(details, 1)]
    told = contradictions(rows, load_balancers=2)
    assert [finding.sentence() for finding in told] == ([complaint] if complaint else [])


def test_each_unhealthy_answer_is_an_error_of_the_machine_that_gave_it() -> None:
    rows = [Row("etcd", "etcd01", True, "3.4.26"), Row("kube-scheduler", "m1", False, "no answer")]
    (finding,) = unhealthy("m1", rows)
    assert (finding.check, finding.machine, finding.level) == ("kube-scheduler", "m1", "error")
    assert finding.text() == "kube-scheduler m1 is not healthy: no answer"


def test_all_questions_are_one_command_and_each_gets_its_answer(tmp_path: Path) -> None:
    rows = answer(
        Health(),
        asked=[
            ("kube-apiserver", "m1", "echo ok"),
            ("kube-scheduler", "m1", 'echo one; echo "two\tthree\'s" >&2; exit 7'),
            ("flannel.1", "n1", f"cat {tmp_path}/missing"),
            ("kube-controller-manager", "m1", "printf ok"),
        ],
    )
    assert rows[:2] == [
        Row("kube-apiserver", "m1", True, "ok"),
        Row("kube-scheduler", "m1", False, "one two three's"),
    ]
    assert (rows[2].healthy, "No such file" in rows[2].detail) == (False, True)
    assert rows[3].healthy


def test_of_a_long_output_the_last_lines_are_shown() -> None:
    (row,) = answer(Health(), asked=[("kube-apiserver", "m1", "seq 9; exit 1")])
    assert row.detail == "7 8 9"


def test_the_table_shows_what_was_said_as_it_was_said() -> None:
    """Square brackets would be the table's own language."""
    said = "[-]etcd failed: [/readyz] [connection refused]"
    console = Console(width=120)
    with console.capture() as shown:
        console.print(table([Row("kube-apiserver", "m1", False, said)], every=True))
    assert said in shown.get()
    assert "NOT HEALTHY" in shown.get()


def test_the_table_grows_with_components_and_unhealthy_answers() -> None:
    healthy = [Row("node", f"10.0.0.{number}", True, f"Ready 10.244.{number}.0/24") for number in range(1, 101)]
    others = [Row("node", "10.0.0.7", False, "not Ready"), Row("etcd", "etcd01", True, "3.4.26")]
    assert lines([*healthy, *others], every=False) == [
        Row("etcd", "etcd01", True, "3.4.26"),
        Row("node", "10.0.0.1 10.0.0.10 ... 98 more", True, "Ready 10.244.1.0/24; ... 99 others"),
        Row("node", "10.0.0.7", False, "not Ready"),
    ]
    assert len(lines([*healthy, *others], every=True)) == 102


NO_NETWORK = "not reached: webhooks and API services need hostNetwork, or put it in node"


@pytest.mark.parametrize(
    ("groups", "pods", "reachable", "says"),
    [
        ("master", "10.244.0.2 10.244.1.2", "", NO_NETWORK),
        ("master", "10.244.0.2 10.244.1.2", "10.244.1.2", "reached"),
        ("master node", "10.244.0.2 10.244.1.2", "10.244.0.2", "reached"),
        ("master node", "10.244.0.2", "", "not reached: docs/components/network.md"),
        ("master", "", "", "no pod of CoreDNS to ask"),
    ],
)
def test_a_master_is_asked_whether_it_reaches_pods(
    tmp_path: Path, groups: str, pods: str, reachable: str, says: str
) -> None:
    found = cluster([entry("m1", "192.168.80.10", f"etcd {groups}"), entry("n1", "192.168.80.11", "node")])
    program(tmp_path, "kubectl", f"printf '{pods}'")
    program(tmp_path, "curl", f"[ '{reachable}' ] && case $* in *//{reachable}:8181/*) exit 0 ;; esac; exit 7")
    (command,) = (asked[2] for asked in probes(here(found, "m1"), False) if asked[0] == TO_PODS)
    ran = shell(command.replace(KUBECTL, f"{tmp_path}/kubectl"), programs=tmp_path)
    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, says, "")
    row = parse_answer(TO_PODS, "m1", "0", says)
    assert (row.healthy, row.note) == (True, says.startswith("not reached"))


def test_a_note_is_shown_as_one_and_does_not_fail_the_run() -> None:
    rows = [Row(TO_PODS, "m1", True, NO_NETWORK, note=True), Row(TO_PODS, "m2", True, NO_NETWORK, note=True)]
    rows.append(Row(TO_PODS, "m3", True, "reached"))
    assert [(row.subject, row.note) for row in lines(rows, every=False)] == [("m1 m2", True), ("m3", False)]
    console = Console(width=160)
    with console.capture() as capture:
        console.print(table(rows, every=False))
    shown = [line.split() for line in capture.get().splitlines()[1:]]
    assert [("note" in line, "healthy" in line) for line in shown] == [(True, False), (False, True)]
    assert unhealthy("m1", rows) == []
    assert [finding.level for finding in noted("m1", rows)] == ["note", "note"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo no matter", ""),
        ("echo a; echo b >&2; exit 1", "a\nb"),
        ("echo yes; exit 1", "yes"),
        ("exit 1", "no answer"),
    ],
)
def test_what_is_awaited_elsewhere_has_come_true_or_says_why_not(script: str, said: str) -> None:
    assert answer(Awaited(), script=script) == said
