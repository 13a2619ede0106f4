"""The survey's shell on this machine, with directories and programs in place of what a machine may have."""

from __future__ import annotations

import socket
import subprocess
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from shutil import copyfile

import pytest
from local_machine import answer, program, shell
from survey_samples import WAL

from kubeinfra.facts.machine import MachineFacts
from kubeinfra.machine.survey import Survey, survey


def seen(tmp_path: Path, etcd: bool = True, instead: Mapping[str, str] | None = None) -> Survey:
    places = {
        "/var/lib/etcd": f"{tmp_path}/var/etcd",
        "/etc/cni/net.d": f"{tmp_path}/cni",
        "/etc/systemd/system": f"{tmp_path}/units",
        "/etc/ssh": f"{tmp_path}/ssh",
        "/etc/environment": f"{tmp_path}/environment",
        "/etc/chrony.conf": f"{tmp_path}/chrony.conf",
        **(instead or {}),
    }
    (tmp_path / "var").mkdir(exist_ok=True)
    (tmp_path / "programs").mkdir(exist_ok=True)
    found: Survey = answer(MachineFacts(), programs=tmp_path / "programs", instead=places, etcd=etcd).survey
    return found


def write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_what_every_machine_has_is_read(tmp_path: Path) -> None:
    found = seen(tmp_path)
    assert found.kernel and found.cpus and found.memory and found.routes is not None
    assert "lo" in {link.name for link in found.links}
    of_others = {f"/var/lib/{name}" for name in ("containerd", "docker", "kubelet")}
    assert set(found.disks) == {"/opt", f"{tmp_path}/var/etcd", *of_others}


@pytest.mark.parametrize(
    ("file", "said", "has"),
    [
        ("modules.dep", "kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/lib/libcrc32c.ko.xz", True),
        ("modules.builtin", "kernel/net/netfilter/ipvs/ip_vs.ko", True),
        ("modules.dep", "kernel/net/netfilter/ipvs/ip_vs_rr.ko: kernel/x.ko", False),
        ("nothing", "", False),
    ],
)
def test_what_kube_proxy_may_use_is_asked_of_the_kernels_files(tmp_path: Path, file: str, said: str, has: bool) -> None:
    write(tmp_path / "modules/6.1.0" / file, f"{said}\n")
    program(tmp_path / "programs", "uname", "echo 6.1.0")
    program(tmp_path / "programs", "nft", "echo 'nftables v1.0.6 (Lester Gooch #5)'")
    found = seen(tmp_path, instead={"/lib/modules": f"{tmp_path}/modules", "/proc/net/ip_vs": f"{tmp_path}/ip_vs"})
    assert (found.kernel, found.ip_vs, found.nft_version) == ("6.1.0", has, (1, 0, 6))


@pytest.mark.parametrize(
    ("module", "has"), [("ipv4/netfilter/nf_conntrack_ipv4", True), ("netfilter/nf_conntrack", False)]
)
def test_whether_ipv4_is_tracked_by_a_module_of_its_own(tmp_path: Path, module: str, has: bool) -> None:
    write(tmp_path / "modules/4.18.0-553.el8_10.x86_64/modules.dep", f"kernel/net/{module}.ko.xz: kernel/x.ko.xz\n")
    program(tmp_path / "programs", "uname", "echo 4.18.0-553.el8_10.x86_64")
    assert seen(tmp_path, instead={"/lib/modules": f"{tmp_path}/modules"}).conntrack_ipv4 is has


@pytest.mark.parametrize(
    ("there", "has"),
    [
        ({"modules/6.1.0/modules.dep": "kernel/net/bridge/br_netfilter.ko.xz:\n"}, True),
        ({"modules/6.1.0/modules.dep": "kernel/net/bridge/bridge.ko.xz:\n"}, False),
        ({"modules/6.1.0/modules.dep": "", "bridge/bridge-nf-call-iptables": "1\n"}, True),
        ({}, None),
    ],
    ids=["to be loaded", "missing", "loaded", "a container, which cannot be asked"],
)
def test_whether_bridged_packets_can_be_filtered(tmp_path: Path, there: dict[str, str], has: bool | None) -> None:
    for path, text in there.items():
        write(tmp_path / path, text)
    program(tmp_path / "programs", "uname", "echo 6.1.0")
    places = {"/lib/modules": f"{tmp_path}/modules", "/proc/sys/net/bridge": f"{tmp_path}/bridge"}
    assert seen(tmp_path, instead=places).br_netfilter is has


def test_ip_vs_that_is_loaded_is_there_whatever_the_files_say(tmp_path: Path) -> None:
    write(tmp_path / "ip_vs", "IP Virtual Server version 1.2.1\n")
    found = seen(tmp_path, instead={"/lib/modules": f"{tmp_path}/modules", "/proc/net/ip_vs": f"{tmp_path}/ip_vs"})
    assert found.ip_vs is True


def test_the_disk_of_a_future_member_is_measured_and_left_as_it_was(tmp_path: Path) -> None:
    assert len(seen(tmp_path).latencies) >= 10
    assert list((tmp_path / "var").iterdir()) == []


def test_the_disk_of_others_and_of_a_member_with_data_is_not(tmp_path: Path) -> None:
    assert seen(tmp_path, etcd=False).latencies == ()
    write(tmp_path / "var/etcd/default.etcd/member/wal/0-0.wal", b"")
    assert seen(tmp_path).latencies == ()


def test_what_was_left_behind_is_read(tmp_path: Path) -> None:
    write(tmp_path / "var/etcd/default.etcd/member/wal/0000-0000.wal", b64decode(WAL) + bytes(1000))
    write(tmp_path / "cni/05-cilium.conflist", "{}")
    write(tmp_path / "cni/README", "")
    write(
        tmp_path / "units/kubelet.service.d/10-kubeadm.conf", '[Service]\nExecStart=\nEnvironment="A=b"\nExecStart=/x\n'
    )
    write(tmp_path / "ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA root@here\n")
    found = seen(tmp_path)
    (data,) = found.etcd_data
    assert (data.cluster, data.path) == ("cdf818194e3a8c32", f"{tmp_path}/var/etcd/default.etcd")
    assert 0 <= data.age < 600
    assert found.cni == ("05-cilium.conflist",)
    assert [(one.unit, one.keys) for one in found.drop_ins] == [("kubelet.service", ("Environment", "ExecStart"))]
    assert len(found.host_keys) == 1


def test_addresses_of_proxies_and_time_servers_come_without_passwords(tmp_path: Path) -> None:
    write(tmp_path / "environment", 'https_proxy="http://me:secret@10.0.0.7:3128/"\n# http_proxy=http://10.9.9.9:1\n')
    write(tmp_path / "chrony.conf", "# server 10.1.1.1\nserver 10.0.0.9 iburst\npool ntp.example.org\n")
    found = seen(tmp_path)
    assert "10.0.0.7:3128" in found.proxies and "10.9.9.9:1" not in found.proxies
    assert not [one for one in found.proxies if "secret" in one]
    assert {"10.0.0.9", "ntp.example.org"} <= set(found.time_servers)


def test_the_connection_of_ssh_is_found_although_sudo_hides_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell of this test is a child of what has it in its environment, as under sshd and sudo."""
    monkeypatch.setenv("SSH_CONNECTION", "2001:db8::1 50000 2001:db8::10 22")
    assert seen(tmp_path).ssh == "2001:db8::1"


def test_a_password_with_a_slash_does_not_come_with_a_proxy(tmp_path: Path) -> None:
    write(tmp_path / "environment", "https_proxy=http://me:pa/ss@10.0.0.7:3128\nhttp_proxy=http://me:p#w@10.0.0.8:1/\n")
    found = seen(tmp_path, etcd=False).proxies
    assert {"10.0.0.7:3128", "10.0.0.8:1"} <= set(found)
    assert not [one for one in found if "me" in one or "pa" in one]


def test_a_proxy_may_be_written_without_a_scheme(tmp_path: Path) -> None:
    lines = (
        "http_proxy=10.0.0.5:3128",
        'export HTTPS_PROXY="me:pass@10.0.0.6:1"',
        "no_proxy=10.0.0.7",
        "#all_proxy=10.0.0.8:1",
    )
    write(tmp_path / "environment", "\n".join(lines) + "\n")
    found = {one for one in seen(tmp_path, etcd=False).proxies if one.startswith("10.0.0.")}
    assert found == {"10.0.0.5:3128", "10.0.0.6:1"}


def test_what_goes_away_meanwhile_is_left_out() -> None:
    """Half a line of a veth or a process is not a traceback."""
    lines = ["link vethX", "link eth0 1500", "process 7", "etcd-data /x", "listen tcp", "nft !", "kernel 5.10.0"]
    found = survey(f"survey {line}" for line in lines)
    assert [link.name for link in found.links] == ["eth0"]
    assert (found.processes, found.listeners, found.etcd_data, found.kernel) == ((), (), (), "5.10.0")


def test_the_shell_goes_on_when_something_goes_away_meanwhile(tmp_path: Path) -> None:
    """What cat and stat then answer, of an interface and of a log; dash ends at arithmetic on nothing."""
    write(tmp_path / "var/etcd/default.etcd/member/wal/0-0.wal", b"")
    write(tmp_path / "cni/05-cilium.conflist", "{}")
    program(tmp_path / "programs", "stat", "exit 1")
    program(tmp_path / "programs", "cat", 'case $1 in */lo/*) exit 1 ;; *) exec /bin/cat "$@" ;; esac')
    program(tmp_path / "programs", "systemctl", "true")
    found = seen(tmp_path, etcd=False)
    assert found.etcd_data == () and "lo" not in {link.name for link in found.links}
    assert "firewalld" in found.firewalls, "the end of the survey is there"


@pytest.mark.parametrize(("said", "filters"), [("ENABLED=yes", True), ("ENABLED=no", False), ("# ENABLED=yes", False)])
def test_ufw_is_a_firewall_where_it_is_enabled(tmp_path: Path, said: str, filters: bool) -> None:
    """Its unit is active in any case."""
    write(tmp_path / "ufw.conf", f"# set by ufw\n{said}\nLOGLEVEL=low\n")
    program(tmp_path / "programs", "systemctl", "true")
    found = seen(tmp_path, etcd=False, instead={"/etc/ufw/ufw.conf": f"{tmp_path}/ufw.conf"})
    assert ("ufw" in found.firewalls) is filters


def test_without_ss_and_ip_it_is_said_and_processes_are_still_looked_at(tmp_path: Path) -> None:
    program(tmp_path / "programs", "ip", "exit 1")
    kubelet = tmp_path / "kubelet"
    copyfile("/bin/sleep", kubelet)
    kubelet.chmod(0o755)
    with subprocess.Popen([kubelet, "60"]) as running:
        try:
            found = seen(tmp_path, etcd=False, instead={"has ss": "has no-such-program"})
        finally:
            running.kill()
    assert {"ports", "routes"} <= set(found.unasked) and found.routes is None
    assert running.pid in {one.pid for one in found.processes if one.name == "kubelet"}


def test_where_opt_really_is_is_said(tmp_path: Path) -> None:
    (tmp_path / "data/opt/etcd/bin").mkdir(parents=True)
    (tmp_path / "opt").symlink_to(tmp_path / "data/opt")
    found = seen(tmp_path, etcd=False, instead={"/opt/etcd/bin": f"{tmp_path}/opt/etcd/bin"})
    assert f"{tmp_path}/data/opt/etcd/bin" in found.binaries


def test_files_of_another_cluster_and_the_certificate_of_another_node_are_read(tmp_path: Path) -> None:
    write(tmp_path / "kubernetes/pki/ca.crt", "x")
    write(tmp_path / "kubernetes/admin.conf", "x")
    (tmp_path / "kubernetes/manifests").mkdir()
    pem = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"
    write(tmp_path / "client.pem", f"{pem}-----BEGIN EC PRIVATE KEY-----\nsecret\n-----END EC PRIVATE KEY-----\n")
    instead = {
        "/opt/kubernetes/ssl/kubelet-client-current.pem": f"{tmp_path}/client.pem",
        "/etc/kubernetes": f"{tmp_path}/kubernetes",
        "/proc/mounts": f"{tmp_path}/mounts",
    }
    write(
        tmp_path / "mounts",
        "/dev/sdb1 /var/lib/kubelet ext4 rw\n"  # a disk of its own is nobody's left-over
        + "tmpfs /run/k3s/a tmpfs rw\nproc /proc proc rw\ntmpfs /var/lib/kubelet/pods/1 tmpfs rw\n" * 2,
    )
    found = seen(tmp_path, etcd=False, instead=instead)
    assert found.left_files == (f"{tmp_path}/kubernetes/pki", f"{tmp_path}/kubernetes/admin.conf")
    assert found.mounts == {"/run/k3s": 2, "/var/lib/kubelet": 2}
    assert found.kubelet_certificate == pem, "and not the key that is in the same file"


def test_chains_of_others_are_counted_by_who_makes_them(tmp_path: Path) -> None:
    lines = [
        "*nat",
        ":KUBE-SERVICES - [0:0]",
        ":KUBE-ROUTER-X - [0:0]",
        "*filter",
        ":cali-in - [0:0]",
        ":cali-out - [0:0]",
    ]
    lines += [":mine - [0:0]", "-A FORWARD -m comment --comment x -j FLANNEL-FWD", "-A FORWARD -j KUBE-FORWARD"]
    for save in ("iptables-save", "iptables-legacy-save", "iptables-nft-save"):
        program(tmp_path / "programs", save, f"printf '%s\\n' {' '.join(map(repr, lines))}")
    found = seen(tmp_path, etcd=False)
    assert found.chains == {"KUBE-": 1, "KUBE-ROUTER": 1, "cali-": 2}
    assert found.iptables["iptables-save"] == (":mine - [0:0]", lines[-2]), "of flannel's its place"


def test_what_it_must_reach_of_others_is_tried(tmp_path: Path) -> None:
    """A port that answers, one that nobody has, and an address from which nothing comes back (RFC 5737)."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        answers, refuses = (f"127.0.0.1:{one.getsockname()[1]}" for one in (server, other))
        fact = MachineFacts()
        ran = shell(str(fact.command(reach=[answers, refuses, "192.0.2.1:6443"])))
    reached = fact.process(ran.stdout.splitlines()).survey.reached
    assert list(reached or ()) == [answers]
    assert seen(tmp_path, etcd=False).reached is None


NFT = r"""
case "$*" in
    "list chains") while read -r family name hook; do
        printf 'table %s {
	chain in {
		type filter hook %s priority 0; policy drop;
	}
}
' "$family $name" "$hook"
    done <<END
ip nat input
ip filter input
ip kube-proxy input
inet mine input
inet passes forward
inet none output
END
    ;;
    "-j list table "*) [ ! -e "$0.old" ] || exit 1; echo "$4 $5" ;;
    *) exit 1 ;;
esac
"""


def test_of_nftables_only_tables_that_see_what_comes_in_or_is_passed_on_are_read(tmp_path: Path) -> None:
    """And not those that iptables and kube-proxy have made, with megabytes of Services in them."""
    instead = {"/sys/module/nf_tables": str(tmp_path)}
    program(tmp_path / "programs", "nft", NFT)
    for save in ("iptables-save", "iptables-legacy-save", "iptables-nft-save"):
        program(tmp_path / "programs", save, '[ "$1" != -V ] || echo "v1.8.7 (legacy)"')
    assert [one.strip() for one in seen(tmp_path, etcd=False, instead=instead).nft] == [
        "ip filter",
        "inet mine",
        "inet passes",
    ]
    says = "case $1 in -V) echo 'v1.8.7 (nf_tables)' ;; *) echo '*filter'; echo ':INPUT DROP [0:0]' ;; esac"
    program(tmp_path / "programs", "iptables-nft-save", says)
    found = seen(tmp_path, etcd=False, instead=instead)
    assert [one.strip() for one in found.nft] == ["inet mine", "inet passes"]
    assert found.iptables == {"iptables-nft-save": (":INPUT DROP [0:0]",)}
    (tmp_path / "symbols").write_text("0000000000000000 t nf_tables_newtable\n")
    built_in = {"/sys/module/nf_tables": f"{tmp_path}/none", "/proc/kallsyms": f"{tmp_path}/symbols"}
    assert seen(tmp_path, etcd=False, instead=built_in).nft == found.nft
    (tmp_path / "symbols").write_text("0000000000000000 t nf_conntrack_in\n")
    assert seen(tmp_path, etcd=False, instead=built_in).nft == (), "the kernel has none, or not yet"
    (tmp_path / "programs/nft.old").touch()
    assert seen(tmp_path, etcd=False, instead=instead).unasked == ("nft-table inet mine", "nft-table inet passes")


def test_listeners_are_read_with_their_processes(tmp_path: Path) -> None:
    says = (
        'echo "Netid State Recv-Q Send-Q Local Peer Process"; '
        'echo "udp UNCONN 0 0 0.0.0.0:8472 0.0.0.0:*"; '
        'echo "tcp LISTEN 0 4096 *:10250 *:* users:((\\"sh\\",pid=$PPID,fd=9))"'
    )
    program(tmp_path / "programs", "ss", says)
    found = seen(tmp_path)
    assert [(one.protocol, one.port, len(one.pids)) for one in found.listeners] == [("udp", 8472, 0), ("tcp", 10250, 1)]
