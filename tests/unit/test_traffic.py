"""The traffic check, run here with a kubectl of ours: who asks whom, and what is told."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from cluster_samples import cluster
from local_machine import program, shell

from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.components.verify import passed, traffic

SERVICE, NAME = "10.0.0.50:80", "echo.kubeinfra-verify.svc.cluster.local:80"


class Cluster:
    """
    So many nodes, each with a pod; `broken`: target -> what agnhost says of it; `dead`: nodes that have just died, for
    which the API has a pod without an address.
    """

    def __init__(self, directory: Path, nodes: int, verify_traffic: str, broken: dict[str, str], dead: int = 0) -> None:
        self.names = [f"node{number}" for number in range(1, nodes + 1)]
        self.directory = directory
        lines = "".join(f"echo-{name} 10.244.{number}.2 {name}\\n" for number, name in enumerate(self.names, 1))
        pending = "".join(f"echo-dead{number}  dead{number}\\n" for number in range(dead))
        fails = "".join(f'"{target}") echo "{said}" >&2; exit 1 ;; ' for target, said in broken.items())
        program(directory, "agnhost", f'echo "$3" >>{directory}/asked; case $3 in {fails} esac')
        program(directory, "sleep", "exit 0")
        if not (directory / "nc").exists():
            program(directory, "nc", "cat >/dev/null; echo 0000000000")
        program(
            directory,
            "kubectl",
            f"""shift 2  # --namespace
case "$1 $2" in
"get pods") printf '{lines}'; case $* in *status.phase=Running*) ;; *) printf '{pending}' ;; esac ;;
"get daemonset") echo {nodes + dead} ;;
"get service") printf 10.0.0.50 ;;
exec*) echo "$2" >>{directory}/execs; [ "$2" != echo-{broken.get("exec")} ] || {{ echo "no kubelet"; exit 1; }}
    shift 3; [ "$1 $2" = "sh -c" ] || exit 9; script=$3; shift 4
    exec sh -c "$(printf "%s" "$script" | sed 's#/agnhost#{directory}/agnhost#; s#^try [0-9]*#try 0#')" sh "$@" ;;
wait*) exit 1 ;;  # the pods in the machines' network: tests/unit/test_traffic_why.py
delete*|apply*|rollout*|create*) cat >/dev/null; echo "$1" >>{directory}/done ;;
*) echo "what is $*" >&2; exit 9 ;;
esac""",
        )
        script = traffic(cluster(verify_traffic=verify_traffic)).replace(KUBECTL, f"{directory}/kubectl")
        self.ran: subprocess.CompletedProcess[str] = shell(
            script.replace("date +%s) + 30", "date +%s) + 0"), programs=directory
        )

    def file(self, name: str) -> list[str]:
        path = self.directory / name
        return path.read_text().split() if path.exists() else []

    @property
    def asked(self) -> list[str]:
        return [re.sub(r"10\.244\.(\d+)\.2:8080", r"node\1", target) for target in self.file("asked")]


def checked(directory: Path, nodes: int, verify_traffic: str = "sample", **broken: str) -> Cluster:
    return Cluster(directory, nodes, verify_traffic, broken)


def test_a_node_that_has_just_died_is_left_out_and_the_next_run_checks_again(tmp_path: Path) -> None:
    found = Cluster(tmp_path, 2, "sample", {}, dead=1)
    assert found.ran.returncode == 0, found.ran.stderr
    assert set(found.asked) == {"node1", "node2", SERVICE, NAME}
    assert "create" not in found.file("done"), "it is not proved for all nodes"


@pytest.mark.parametrize(
    ("nodes", "verify_traffic", "others"),
    [
        (1, "sample", 0),
        (2, "sample", 1),
        (3, "sample", 2),
        (4, "sample", 3),
        (5, "sample", 3),
        (9, "sample", 3),
        (40, "sample", 3),
        (1, "all", 0),
        (9, "all", 8),
    ],
)
def test_each_pod_asks_so_many_others_and_is_asked_by_as_many(
    tmp_path: Path, nodes: int, verify_traffic: str, others: int
) -> None:
    found = checked(tmp_path, nodes, verify_traffic)
    assert found.ran.returncode == 0, found.ran.stderr
    assert sorted(found.file("execs")) == sorted(f"echo-{name}" for name in found.names), "one question a pod"
    assert {name: found.asked.count(name) for name in found.names} == dict.fromkeys(found.names, others)
    assert found.asked.count(SERVICE) == found.asked.count(NAME) == nodes
    assert "create" in found.file("done")


def test_no_pod_asks_itself_and_none_asks_another_twice(tmp_path: Path) -> None:
    found = checked(tmp_path, 7, "sample", **{f"10.244.{number}.2:8080": "TIMEOUT" for number in range(1, 8)})
    told = re.findall(r"^a pod on (\w+) does not reach the pod on (\w+) ", found.ran.stderr, flags=re.MULTILINE)
    assert len(told) == len(set(told)) == 21
    assert [one for one in told if one[0] == one[1]] == []


def test_who_does_not_reach_whom_is_told(tmp_path: Path) -> None:
    found = checked(tmp_path, 3, **{"10.244.2.2:8080": "TIMEOUT", SERVICE: "REFUSED", NAME: "DNS: no such host"})
    assert found.ran.returncode == 1
    assert sorted(found.ran.stderr.splitlines()) == sorted(
        [
            *(
                f"a pod on {name} does not reach the pod on node2 (10.244.2.2:8080): TIMEOUT"
                for name in ("node1", "node3")
            ),
            *(
                f"a pod on {name} does not reach a Service {by}"
                for name in found.names
                for by in (
                    f"by its cluster address ({SERVICE}): REFUSED",
                    f"by its name ({NAME}): DNS: no such host",
                )
            ),
            "what passes between the machines could not be asked",
        ]
    )
    assert "create" not in found.file("done"), "it is not noted as passed"
    assert found.file("done")[-1] == "delete"


def test_a_pod_that_gets_no_large_packet_is_not_reached(tmp_path: Path) -> None:
    program(tmp_path, "nc", f"cat >{tmp_path}/said; [ $1 = 10.244.2.2 ] || echo 0000000000")
    found = checked(tmp_path, 2)
    assert found.ran.returncode == 1
    assert found.ran.stderr.splitlines()[0] == (
        "a pod on node1 does not reach the pod on node2 (10.244.2.2:8080): small packets pass, large ones do not"
    )
    request = (tmp_path / "said").read_bytes()
    assert request.startswith(b"GET /echo?msg=0") and len(request) > 4000 and request.endswith(b"HTTP/1.0\r\n\r\n")


def test_a_pod_that_cannot_be_asked_is_told(tmp_path: Path) -> None:
    found = checked(tmp_path, 2, exec="node2")
    assert found.ran.returncode == 1
    assert found.ran.stderr.strip() == "a pod on node2 cannot be asked: no kubelet"


@pytest.mark.parametrize(
    ("registered", "verified", "is_passed"),
    [
        ("192.168.80.11 192.168.80.12", "the same", True),
        ("192.168.80.11 192.168.80.12 192.168.80.15", "the same", True),
        ("192.168.80.11", "the same", False),  # as a plan sees it that adds the other
        ("192.168.80.11 192.168.80.125", "the same", False),
        ("192.168.80.11 192.168.80.12", "another", False),
        ("192.168.80.11 192.168.80.12", "", False),
    ],
)
def test_what_has_passed_is_not_checked_again_unless_a_node_comes(
    tmp_path: Path, registered: str, verified: str, is_passed: bool
) -> None:
    program(tmp_path, "sha256sum", "cat >/dev/null; echo the same")
    program(
        tmp_path,
        "kubectl",
        f"""case "$*" in
*configmap*) printf '{verified}' ;;
*metadata.name*) printf '{registered} ' ;;
*) echo network ;;
esac""",
    )
    command = passed(cluster().nodes).replace(KUBECTL, f"{tmp_path}/kubectl")
    assert (shell(command, programs=tmp_path).returncode == 0) is is_passed
