"""What a machine is: the shell of the facts on this machine, and how they parse the output of other machines."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path

import pytest
from local_machine import answer, program, shell

from kubeinfra.facts.machine import MachineFacts, MachineState, MissingPackages, System, SystemState
from kubeinfra.machine.software import Software

UBUNTU = [
    "uid=0",
    "arch=aarch64",
    "systemd=252",
    "family=debian",
    "id=ubuntu",
    "version=20.04",
    f"resolv={b64encode(b'nameserver 127.0.0.53').decode()}",
    f"resolved={b64encode(b'nameserver 9.9.9.9').decode()}",
    "time=systemd-timesyncd",
    f"ca=etcd {b64encode(b'PEM').decode()}",
    "secret=bootstrap-token",
]


def test_a_whole_answer_is_read() -> None:
    assert MachineFacts().process(UBUNTU) == MachineState(
        uid=0,
        arch="arm64",
        systemd=252,
        family="debian",
        distribution="ubuntu",
        container=False,
        resolv_conf="nameserver 127.0.0.53",
        systemd_resolv_conf="nameserver 9.9.9.9",
        keeps_time=True,
        cas={"etcd": "PEM"},
        secrets=frozenset({"bootstrap-token"}),
        software=Software(version="20.04"),
    )


def test_the_least_answer_is_read() -> None:
    assert MachineFacts().process(["uid=1000", "arch=riscv64"]) == MachineState(
        1000, "riscv64", None, "", "", False, "", "", False
    )


def test_this_machine_is_read(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("PEM of the\nCA\n")
    (tmp_path / "resolv.conf").write_text("nameserver 9.9.9.9\n")
    found = answer(
        MachineFacts(),
        instead={"/opt/etcd/ssl/ca.pem": f"{tmp_path}/ca.pem", "/etc/resolv.conf": f"{tmp_path}/resolv.conf"},
    )
    assert found.uid == os.geteuid()
    assert found.arch == {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    assert bool(found.systemd) == Path("/run/systemd/system").is_dir()
    assert found.distribution == platform.freedesktop_os_release()["ID"]
    assert found.resolv_conf == "nameserver 9.9.9.9\n"
    assert found.cas["etcd"] == "PEM of the\nCA\n"


@pytest.mark.parametrize(
    ("configuration", "active", "keeps"),
    [("pool theirs iburst\n", "chrony", True), ("# Written by kubeinfra: x\n", "chrony", False), ("", "none", False)],
)
def test_a_time_daemon_counts_only_when_others_set_it_up(
    tmp_path: Path, configuration: str, active: str, keeps: bool
) -> None:
    (tmp_path / "chrony.conf").write_text(configuration)
    programs = program(tmp_path / "programs", "systemctl", f'[ "$*" = "--quiet is-active {active}" ]')
    found = answer(MachineFacts(), programs=programs, instead={"/etc/chrony/chrony.conf": f"{tmp_path}/chrony.conf"})
    assert found.keeps_time is keeps


SWAPPING = [
    "hostname=old-name",
    "firewall=firewalld",
    "selinux=Enforcing",
    "swap=/dev/sda2",
    "swap=/swapfile",
    "swap-unit=dev-sda2.swap",
    "module=overlay loaded",
    "module=br_netfilter loadable",
    "sysctl=net.ipv4.ip_local_port_range 32768\t60999",
    "sysctl=net.ipv4.ip_forward 0",
    "read-only=net.ipv4.ip_forward",
]


def test_how_an_operating_system_is_set_up_is_read() -> None:
    assert System().process(SWAPPING) == SystemState(
        hostname="old-name",
        firewalls=("firewalld",),
        selinux="Enforcing",
        swaps=("/dev/sda2", "/swapfile"),
        swap_units=("dev-sda2.swap",),
        modules={"overlay": "loaded", "br_netfilter": "loadable"},
        sysctls={"net.ipv4.ip_local_port_range": "32768 60999", "net.ipv4.ip_forward": "0"},
        read_only=("net.ipv4.ip_forward",),
    )


# As systemd 252 prints them, in an order of its own: a line of fstab, what the partition is called besides, a unit that
# is masked already, a file that is gone, and the unit of a generator.
SWAP_UNITS = r"""Id=dev-disk-by\x2duuid-11\x2d22.swap
LoadState=loaded
FragmentPath=/run/systemd/generator/dev-disk-by\x2duuid-11\x2d22.swap

FragmentPath=
Id=dev-disk-by\x2ddiskseq-2\x2dpart1.swap
LoadState=loaded

Id=dev-sda2.swap
LoadState=loaded
FragmentPath=

Id=swapfile.swap
LoadState=masked
FragmentPath=/etc/systemd/system/swapfile.swap

Id=gone.swap
LoadState=not-found
FragmentPath=

LoadState=loaded
FragmentPath=/run/systemd/generator/dev-zram0.swap
Id=dev-zram0.swap"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Stand-ins for what this machine may not have, or has otherwise."""
    programs = tmp_path / "programs"
    program(programs, "modprobe", '[ "$*" = "--dry-run --quiet can_be_loaded" ]')
    program(programs, "getenforce", "echo Permissive")
    program(
        programs,
        "systemctl",
        f"""case "$*" in
*is-enabled*ufw) ;;
show*.swap*) cat <<'END'
{SWAP_UNITS}
END
;;
list-unit-files*) for unit; do
    case $unit in zramswap.service|mine.service) echo "$unit enabled enabled" ;; esac
done ;;
*) exit 1 ;; esac""",
    )
    return programs


def test_the_operating_system_of_this_machine_is_read(machine: Path, tmp_path: Path) -> None:
    (tmp_path / "swaps").write_text("Filename Type Size\n/dev/sda2 partition 1024 0 -2\n")
    modules = {"built_in": "/proc/self", "can_be_loaded": "/nowhere", "not_there": "/nowhere"}
    found = answer(
        System(),
        programs=machine,
        instead={"/proc/swaps": f"{tmp_path}/swaps"},
        modules=modules,
        sysctls=["kernel.pid_max", "kernel.ostype", "no.such.key"],
    )
    assert found.hostname == platform.node()
    assert found.firewalls == ("ufw",), "disabled at this moment, but it starts at boot"
    assert found.selinux == "Permissive"
    assert found.swaps == ("/dev/sda2",)
    assert found.swap_units == (r"dev-disk-by\x2duuid-11\x2d22.swap", "dev-zram0.swap"), "those that a file defines"
    assert found.swap_services == ("zramswap.service",)
    assert found.modules == {"built_in": "loaded", "can_be_loaded": "loadable", "not_there": "missing"}
    assert found.sysctls == {
        "kernel.pid_max": Path("/proc/sys/kernel/pid_max").read_text().strip(),
        "kernel.ostype": "Linux",
    }
    assert "kernel.ostype" in found.read_only


@pytest.mark.parametrize(
    ("file", "text", "services", "scripts"),
    [
        ("units/mine.service", "[Service]\nExecStart=/sbin/swapon /swap\n", ["zramswap.service", "mine.service"], []),
        ("units/other.service", "[Service]\nExecStart=/sbin/swapon /swap\n", ["zramswap.service"], []),  # not enabled
        ("rc.local", "#!/bin/sh\nmkswap /dev/vdb\n  swapon /dev/vdb\n", ["zramswap.service"], ["rc.local"]),
        ("rc.local", "#!/bin/sh\n# swapon /dev/vdb\nswapoff -a\n", ["zramswap.service"], []),
        ("cron.d/swap", "@reboot root /sbin/swapon /swap\n", ["zramswap.service"], ["cron.d/swap"]),
        ("waagent.conf", "ResourceDisk.EnableSwap=y\n", ["zramswap.service"], ["waagent.conf"]),
        ("waagent.conf", "# ResourceDisk.EnableSwap=y\nResourceDisk.EnableSwap=n\n", ["zramswap.service"], []),
    ],
)
def test_what_switches_swap_on_is_found(
    machine: Path, tmp_path: Path, file: str, text: str, services: list[str], scripts: list[str]
) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    instead = {"/etc/systemd/system/*": f"{tmp_path}/units/*", "/lib/systemd/system/": "/nowhere/"}
    instead |= {path: f"{tmp_path}/{path[5:]}" for path in ("/etc/rc.local", "/etc/cron.d", "/etc/waagent.conf")}
    found = answer(System(), programs=machine, instead=instead, modules={}, sysctls=[])
    assert list(found.swap_services) == services
    assert [Path(path).relative_to(tmp_path).as_posix() for path in found.swap_scripts] == scripts


def test_modules_can_be_asked_for_alone(machine: Path) -> None:
    found = answer(System(), programs=machine, modules={"built_in": "/proc/self"}, sysctls=[])
    assert (found.modules, found.sysctls) == ({"built_in": "loaded"}, {})


def test_packages_of_debian_count_when_they_are_installed(tmp_path: Path) -> None:
    """A removed package whose configuration stays is known to dpkg, but not installed."""
    says = 'case "$4" in there) echo installed ;; removed) echo config-files ;; *) exit 1 ;; esac'
    programs = program(tmp_path / "programs", "dpkg-query", says)
    found = answer(MissingPackages(), programs=programs, names=["there", "removed", "never"], family="debian")
    assert found == {"removed", "never"}


def test_packages_of_red_hat_count_by_what_they_provide(tmp_path: Path) -> None:
    """`iptables` is provided by iptables-nft there, `curl` perhaps by curl-minimal."""
    programs = program(tmp_path / "programs", "rpm", '[ "$*" = "--quiet -q --whatprovides iptables" ]')
    found = answer(MissingPackages(), programs=programs, names=["iptables", "socat"], family="redhat")
    assert found == {"socat"}


@pytest.mark.parametrize("fact", [MachineFacts().command(), System().command({"a": "/b"}, ["c.d"])])
def test_the_shell_is_plain_sh(fact: str) -> None:
    """Debian's sh is dash, Red Hat's is bash; the facts must mean the same in both."""
    for interpreter in ("dash", "bash --posix"):
        checked = shell(f"command -v {interpreter.split()[0]} >/dev/null || exit 0; {interpreter} -n", stdin=fact)
        assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("serves", [True, False])
def test_an_etcd_member_says_the_name_of_its_data_and_its_cluster(tmp_path: Path, serves: bool) -> None:
    (tmp_path / "data" / "member").mkdir(parents=True)
    (tmp_path / "cfg").mkdir()
    (tmp_path / "cfg" / "etcd").write_text("ETCD_NAME=etcd07\nETCD_DATA_DIR=/x\n")
    status = '[{"Endpoint":"x","Status":{"header":{"cluster_id":14841639068965178418,"member_id":1}}}]'
    says = f"case $2 in status) echo '{status}' ;; *) {'true' if serves else 'exit 1'} ;; esac"
    program(tmp_path / "programs", "etcdctl", says)
    found = answer(
        MachineFacts(),
        instead={
            "/var/lib/etcd/default.etcd": f"{tmp_path}/data",
            "/opt/etcd/cfg": f"{tmp_path}/cfg",
            "/usr/local/bin/etcdctl": f"{tmp_path}/programs/etcdctl",
        },
    )
    assert (found.etcd_name, found.etcd_cluster, found.etcd_serves) == ("etcd07", "cdf818194e3a8c32", serves)


STATUS_OF_3_6 = (
    '[{"Endpoint":"x","Status":{"header":{"cluster_id":14841639068965178418,"member_id":1},"version":"3.6.16",'
    '"dbSize":1,"storageVersion":"3.6.0","dbSizeQuota":8589934592,"downgradeInfo":{}}}]'
)


@pytest.mark.parametrize(
    ("data", "status", "version"), [(True, STATUS_OF_3_6, "3.6.16"), (True, "", "3.7.3"), (False, "", "")]
)
def test_the_etcd_that_runs_counts_and_the_one_that_is_installed_where_none_does(
    tmp_path: Path, data: bool, status: str, version: str
) -> None:
    if data:
        (tmp_path / "data" / "member").mkdir(parents=True)
    programs = program(tmp_path / "programs", "etcdctl", f"[ '{status}' ] && echo '{status}'")
    program(programs, "etcd", "echo 'etcd Version: 3.7.3'; echo 'Git SHA: 1'")
    places = {
        "/var/lib/etcd/default.etcd": f"{tmp_path}/data",
        "/opt/etcd/bin/etcd": f"{programs}/etcd",
        "/usr/local/bin/etcdctl": f"{programs}/etcdctl",
    }
    assert answer(MachineFacts(), instead=places).etcd_version == version


@pytest.mark.parametrize(
    ("release", "numbers"), [("3.10.0-1160.el7.x86_64", (3, 10)), ("6.1-rc1", (6, 1)), ("", None), ("unknown", None)]
)
def test_the_kernel_is_compared_as_numbers(release: str, numbers: tuple[int, int] | None) -> None:
    assert MachineFacts().process([*UBUNTU, f"survey kernel {release}"]).kernel == numbers


def test_nothing_is_asked_twice() -> None:
    command = str(MachineFacts().command())
    assert [command.count(what) for what in ("uname -r", ". /etc/os-release", "uname -m")] == [1, 1, 1]


# Of Debian's essential packages, mawk and bash: what an image of mmdebstrap's smallest variant has.
ESSENTIAL = """
awk base64 bash cat chmod chown cp cut date dd df dirname env expr find grep head id ln ls mkdir mktemp mv od printf
readlink rm rmdir sed seq sh sha256sum sleep sort stat sync tail tee timeout touch tr uname uniq wc xargs
"""


@pytest.mark.parametrize("missing", ["", "xargs timeout"])
def test_a_machine_that_was_cut_down_is_read_and_told_what_it_lacks(tmp_path: Path, missing: str) -> None:
    """No ip, ss, ps, ping, systemctl, curl, openssl, nft, which, hostname; and one that somebody made smaller still."""
    for name in set(ESSENTIAL.split()) - set(missing.split()):
        (tmp_path / name).symlink_to(shutil.which(name) or pytest.fail(name))
    command = MachineFacts().command(reach=["127.0.0.1:1"])
    environment = {"PATH": str(tmp_path)}
    ran = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0
    found = MachineFacts().process(ran.stdout.splitlines())
    assert set(found.software.lacking) == {"ip", *missing.split()}
    called = set(re.findall(r"(\S+): not found", ran.stderr))
    assert called <= set(found.software.lacking), f"what may be missing is asked for before: {ran.stderr}"
    assert {"ports", "routes"} <= set(found.survey.unasked)
    assert found.survey.memory and found.survey.disks and found.arch, "the rest is read"
