"""A change of kube-proxy's mode: what another one left is found, and removed; on this machine, with stand-ins."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cluster_samples import SEEN, cluster, here
from local_machine import program, shell

from kubeinfra.cluster.settings import Mode
from kubeinfra.components.kube_proxy import Left, left_by_other_modes
from kubeinfra.operations.units import interrupted

SERVERS = """\
-A -t 10.0.0.1:443 -s rr
-a -t 10.0.0.1:443 -r 192.168.80.10:6443 -m -w 1
-A -u 10.0.0.2:53 -s rr -p 10800
-A -t 192.168.80.11:30080 -s rr
-A -t [fd00::2]:80 -s rr
-A -t 192.168.80.99:80 -s wlc
-A -t 192.168.80.99:29999 -s wlc
-A -f 7 -s wlc
"""
OURS = ["-t 10.0.0.1:443", "-u 10.0.0.2:53", "-t 192.168.80.11:30080", "-t [fd00::2]:80"]
CHAINS = ":KUBE-SERVICES - [0:0]\\n:KUBE-SVC-ABC - [0:0]\\n"
TABLES = ["table ip filter", "table ip kube-proxy", "table inet kube-proxy", "table ip6 kube-proxy", "table ip kube"]


def left(mode: Mode, by: str, release: str = "1.20.15") -> Left:
    """What a node of that mode is asked of another one."""
    found = left_by_other_modes(here(cluster(kube_proxy_mode=mode, kubernetes_version=release), "n1"))
    (one,) = [one for one in found if f"which mode {by} has left" in one.found.what]
    return one


class Node:
    """
    A node with the traces of both modes, as far as they are said to be there.

    + chains: nat chains; + ipvs: whether the kernel has it; + mode: kube-proxy's, "" if it does not run
    + configured: the mode that its file says, of which its process is; + state: of its unit
    """

    def __init__(
        self,
        directory: Path,
        chains: str = CHAINS,
        ipvs: bool = True,
        mode: str = "",
        configured: str = "ipvs",
        state: str = "failed",
    ) -> None:
        self.directory = directory
        self.files = {
            "/sys/class/net/kube-ipvs0": directory / "kube-ipvs0",
            "/proc/net/ip_vs": directory / "ip_vs",
            "/opt/kubernetes/cfg/kube-proxy-config.yaml": directory / "config.yaml",
            "/run/kubeinfra/kube-proxy.service.inputs": directory / "inputs",
        }
        if ipvs:
            (directory / "ip_vs").touch()
        (directory / "config.yaml").write_text(f"mode: {configured}\n")
        recorded = shell(f"sha256sum {directory}/config.yaml").stdout
        (directory / "inputs").write_text(recorded if mode else "")
        self.programs = directory / "programs"
        program(self.programs, "curl", f"[ '{mode}' ] && echo {mode}")
        program(self.programs, "systemctl", f"[ {state} = active ]")
        program(self.programs, "modprobe", "exit 1")
        program(self.programs, "iptables-save", f"[ ! -e {directory}/cleaned ] || exit 0; printf '{chains}'")
        program(
            self.programs, "ip", "printf '3: x inet 10.0.0.1/32\\n3: x inet 10.0.0.2/32\\n3: x inet6 fd00::2/128\\n'"
        )
        program(
            self.programs,
            "ipvsadm",
            f"""case $1 in
--save) cat <<'END'
{SERVERS}END
    ;;
--delete-service) echo "$2 $3" >>{directory}/deleted ;;
esac""",
        )
        program(
            self.programs,
            "nft",
            f"""cd {directory}; [ -e tables-of-nft ] || exit 0
case $1 in
list) cat tables-of-nft ;;
delete) grep -vx "$2" tables-of-nft >kept; mv kept tables-of-nft ;;
esac""",
        )
        for tables in ("iptables", "ip6tables"):
            program(self.programs, tables, f'echo "{tables} $*" >>{directory}/tables')
        self.cleans("rm -f kube-ipvs0; touch cleaned; exit 1")

    def cleans(self, script: str) -> None:
        """What `kube-proxy --cleanup` does."""
        program(self.directory, "kube-proxy", f'cd {self.directory}; echo "$*" >>asked; {script}')

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        for there, stands_in in self.files.items():
            script = script.replace(there, str(stands_in))
        return shell(
            script.replace("/opt/kubernetes/bin/kube-proxy", f"{self.directory}/kube-proxy"), programs=self.programs
        )

    def lines(self, file: str) -> list[str]:
        path = self.directory / file
        return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("is_there", [True, False])
def test_kube_ipvs0_is_of_the_other_mode_where_iptables_is_wanted(tmp_path: Path, is_there: bool) -> None:
    node = Node(tmp_path)
    if is_there:
        (tmp_path / "kube-ipvs0").touch()
    assert (node.run(left("iptables", by="ipvs").found.command).returncode == 0) is is_there


@pytest.mark.parametrize(
    ("why", "node", "is_left"),
    [
        ("the mode changes now", {"mode": "iptables", "configured": "iptables"}, True),
        ("it was changed by something that left the chains", {"mode": "ipvs"}, True),
        ("kube-proxy does not run", {"mode": ""}, True),
        ("kube-proxy is starting, and has not said its mode", {"mode": "", "state": "active"}, False),
        ("ipvs mode has no such chain", {"mode": "ipvs", "chains": ":KUBE-SERVICES - [0:0]\\n"}, False),
        ("the kernel has no ipvs", {"mode": "iptables", "ipvs": False}, False),
        ("it has fallen back, for want of something else", {"mode": "iptables"}, False),
    ],
)
def test_chains_are_of_the_other_mode_where_kube_proxy_is_to_use_ipvs_and_can(
    tmp_path: Path, why: str, node: dict[str, Any], is_left: bool
) -> None:
    found = Node(tmp_path, **node).run(left("ipvs", by="iptables").found.command)
    assert (found.returncode == 0) is is_left, why
    assert not found.stderr


def test_the_virtual_servers_of_kube_proxy_go_and_those_of_others_stay(tmp_path: Path) -> None:
    node = Node(tmp_path)
    (tmp_path / "kube-ipvs0").touch()
    ran = node.run(left("iptables", by="ipvs").clean_up)
    assert ran.returncode == 0, f"what is left counts, not kube-proxy's exit code: {ran.stderr}"
    assert node.lines("deleted") == OURS
    assert node.lines("asked") == [f"--config {tmp_path}/config.yaml --cleanup"]
    assert "iptables -w -F KUBE-NODE-PORT" in node.lines("tables")
    assert not (tmp_path / "kube-ipvs0").exists()


def test_chains_go_before_ipvs_and_no_virtual_server_does(tmp_path: Path) -> None:
    node = Node(tmp_path, mode="iptables", configured="iptables")
    assert node.run(left("ipvs", by="iptables").clean_up).returncode == 0
    assert (node.lines("deleted"), len(node.lines("asked"))) == ([], 1)


@pytest.mark.parametrize("mode", ["ipvs", "iptables"])
def test_tables_of_nftables_go_before_another_mode_and_those_of_others_stay(tmp_path: Path, mode: Mode) -> None:
    node, asked = Node(tmp_path), left(mode, by="nftables", release="1.37.2")
    assert node.run(asked.found.command).returncode == 1, "none is there"
    (tmp_path / "tables-of-nft").write_text("".join(f"{table}\n" for table in TABLES))
    assert node.run(asked.found.command).returncode == 0
    ran = node.run(asked.clean_up)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert node.lines("tables-of-nft") == ["table ip filter", "table inet kube-proxy", "table ip kube"]
    assert not node.lines("asked"), "kube-proxy --cleanup would remove virtual servers of others"


def test_a_table_that_cannot_be_removed_fails(tmp_path: Path) -> None:
    node = Node(tmp_path)
    program(
        node.programs,
        "nft",
        "[ $1 = delete ] && { echo 'Operation not permitted' >&2; exit 1; }; echo 'table ip kube-proxy'",
    )
    ran = node.run(left("iptables", by="nftables", release="1.37.2").clean_up)
    assert (ran.returncode, ran.stderr) == (1, "Operation not permitted\n")


def test_before_nftables_go_the_chains_of_iptables(tmp_path: Path) -> None:
    """Also where the kernel has no ipvs: there is no falling back."""
    node, asked = Node(tmp_path, ipvs=False), left("nftables", by="iptables", release="1.37.2")
    assert node.run(asked.found.command).returncode == 0
    assert node.run(asked.clean_up).returncode == 0
    assert node.run(asked.found.command).returncode == 1
    assert len(node.lines("asked")) == 1


def test_before_nftables_go_the_virtual_servers_of_ipvs(tmp_path: Path) -> None:
    node, asked = Node(tmp_path), left("nftables", by="ipvs", release="1.37.2")
    (tmp_path / "kube-ipvs0").touch()
    assert node.run(asked.found.command).returncode == 0
    assert node.run(asked.clean_up).returncode == 0
    assert node.lines("deleted") == OURS


def test_a_release_is_asked_only_for_modes_that_it_has() -> None:
    asked = {
        release: len(left_by_other_modes(here(cluster(kubernetes_version=release), "n1", SEEN)))
        for release in ("1.20.15", "1.30.14", "1.31.14")
    }
    assert asked == {"1.20.15": 1, "1.30.14": 1, "1.31.14": 2}


def test_what_cannot_be_removed_is_told(tmp_path: Path) -> None:
    node = Node(tmp_path)
    (tmp_path / "kube-ipvs0").touch()
    node.cleans("echo 'Error deleting dummy device'; exit 1")
    ran = node.run(left("iptables", by="ipvs").clean_up)
    assert ran.returncode == 1
    assert (
        "kube-proxy --cleanup (exit code 1) has left something; it says:\nError deleting dummy device\n" in ran.stderr
    )


@pytest.mark.parametrize(("script", "code"), [("echo removed", 0), ("echo cannot >&2; false", 1)])
def test_the_unit_is_started_again_whatever_became_of_it(tmp_path: Path, script: str, code: int) -> None:
    programs = program(tmp_path, "systemctl", f'echo "$*" >>{tmp_path}/done')
    ran = shell(interrupted("kube-proxy.service", [f"{script}; exit {code}"]), programs=programs)
    assert ran.returncode == code
    assert (tmp_path / "done").read_text().splitlines() == ["stop kube-proxy.service", "start kube-proxy.service"]
