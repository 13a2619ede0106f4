"""The survey's shell on this machine, with directories and programs in place of what a machine may have."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import pytest
from local_machine import answer, program
from survey_samples import WAL

from kubeinfra.facts.machine import MachineFacts
from kubeinfra.machine.survey import Survey


def seen(tmp_path: Path, etcd: bool = True) -> Survey:
    instead = {
        "/var/lib/etcd": f"{tmp_path}/var/etcd",
        "/etc/cni/net.d": f"{tmp_path}/cni",
        "/etc/systemd/system": f"{tmp_path}/units",
        "/etc/ssh": f"{tmp_path}/ssh",
        "/etc/environment": f"{tmp_path}/environment",
        "/etc/chrony.conf": f"{tmp_path}/chrony.conf",
    }
    (tmp_path / "var").mkdir(exist_ok=True)
    (tmp_path / "programs").mkdir(exist_ok=True)
    found: Survey = answer(MachineFacts(), programs=tmp_path / "programs", instead=instead, etcd=etcd).survey
    return found


def write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_what_every_machine_has_is_read(tmp_path: Path) -> None:
    found = seen(tmp_path)
    assert found.kernel and found.cpus and found.memory and found.routes is not None
    assert "lo" in {link.name for link in found.links}
    assert set(found.disks) == {"/opt", f"{tmp_path}/var/etcd", "/var/lib/docker", "/var/lib/kubelet"}


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


def test_listeners_are_read_with_their_processes(tmp_path: Path) -> None:
    says = (
        'echo "Netid State Recv-Q Send-Q Local Peer Process"; '
        'echo "udp UNCONN 0 0 0.0.0.0:8472 0.0.0.0:*"; '
        'echo "tcp LISTEN 0 4096 *:10250 *:* users:((\\"sh\\",pid=$PPID,fd=9))"'
    )
    program(tmp_path / "programs", "ss", says)
    found = seen(tmp_path)
    assert [(one.protocol, one.port, len(one.pids)) for one in found.listeners] == [("udp", 8472, 0), ("tcp", 10250, 1)]
