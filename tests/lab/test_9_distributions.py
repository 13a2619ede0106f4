"""
One cluster of machines that differ: Rocky Linux's package manager, Debian 11 and 13; and every way in that a person's
own machines may have, all at once: an ordinary user whose sudo wants a password, umask 077, a /tmp where no program
runs, a jump host, another port, login shells that are no sh or that print, another language, two network cards.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from invocation import Invocation
from laboratory import Lab
from observe import assert_finished

from kubeinfra.components.platforms import PLATFORMS
from lab.docker import docker
from lab.names import OWN

PORT = 2222
PASSWORD = "two words"
EL, OLD, JUMP = "el01", "old01", "new01"
SECOND = "kubeinfra-second"
INVENTORY = f"""\
machines = [
    ("{EL}", {{"ssh_hostname": "192.168.80.10", "lab_machine": "el-9"}}),
    ("{OLD}", {{"ssh_hostname": "192.168.80.11", "lab_machine": "debian-11"}}),
    ("{JUMP}", {{"ssh_hostname": "192.168.80.12", "lab_machine": "debian-13"}}),
]
master = etcd = lb = ["{EL}"]
node = ["{EL}", "{OLD}", "{JUMP}"]
"""
SETTINGS = """
masters_schedulable = True
load_balancer_port = 8443
"""
# Of how it is deployed to, after the machines are there.
WAYS = f"""
docker_source = "docker-ce"
docker_repository = "http://127.0.0.1:8099/docker-ce"
_sudo = True
_sudo_password = "{PASSWORD}"
ssh_config_file = "ssh_config"
"""
# What a person would have made of the machine. $1: the only address that may log in, if there is one.
CONDITIONS = f"""\
set -eu
echo 'operator ALL=(ALL) ALL' >/etc/sudoers.d/operator
echo 'operator:{PASSWORD}' | chpasswd
mount -o remount,noexec /tmp
mkdir -p /etc/systemd/system/ssh.service.d
printf '[Service]\\nUMask=0077\\n' >/etc/systemd/system/ssh.service.d/umask.conf
allowed="${{1:+AllowUsers operator@$1}}"
printf 'Port {PORT}\\nSetEnv LANG=zh_CN.UTF-8\\n%s\\n' "$allowed" >/etc/ssh/sshd_config.d/person.conf
if command -v firewall-cmd >/dev/null; then
    firewall-cmd --quiet --permanent --add-port={PORT}/tcp
    firewall-cmd --quiet --reload
fi
if shell=$(command -v fish || command -v bsd-csh); then usermod --shell "$shell" operator
else sed -i '1i echo Welcome, be careful' /home/operator/.bashrc; fi
systemctl daemon-reload
systemctl restart ssh
"""


@pytest.fixture(scope="module")
def mixed(bring_up: Callable[..., Lab]) -> Lab:
    lab = bring_up("distributions", inventory=INVENTORY, settings=SETTINGS)
    for machine in lab.machines:
        allowed = "" if machine == JUMP else lab.address(JUMP)
        lab.run(machine, f"sh -s -- {allowed}", stdin=CONDITIONS)
    _second_cards(lab)
    with (lab.directory / "group_data" / "all.py").open("a") as file:
        file.write(WAYS)
    # The lab's own settings come later, and name a Docker that these machines do not have.
    own = lab.directory / ".lab" / "group_data" / "all.py"
    own.write_text(re.sub("^docker_source = .*\n", "", own.read_text(), flags=re.MULTILINE))
    _ssh_config(lab)
    return lab


def _second_cards(lab: Lab) -> None:
    """Their network's name comes first in the alphabet, as the card does: the default route is through it."""
    docker("network", "create", f"--label={OWN}", "--subnet=192.168.82.0/24", SECOND)
    for machine in lab.machines:
        last = lab.address(machine).rpartition(".")[2]
        docker("network", "connect", f"--ip=192.168.82.{last}", SECOND, f"kubeinfra-{machine}")


def _ssh_config(lab: Lab) -> None:
    known = lab.directory / ".lab" / "known_hosts"
    lines = [line.split(" ", 1) for line in known.read_text().splitlines()]
    ports = [f"[{name.split(',')[1]}]:{PORT} {key}\n" for name, key in lines]
    known.write_text(known.read_text() + "".join(ports))
    key = lab.directory / ".lab" / "id_ed25519"
    hosts = [f"Host {lab.address(machine)}\n    Port {PORT}\n    ProxyJump jump\n" for machine in (EL, OLD)]
    # pyinfra tells the jump host's connection nothing of its own settings.
    jump = f"Host jump\n    HostName {lab.address(JUMP)}\nHost jump {lab.address(JUMP)}\n    Port {PORT}\n"
    jump += f"    User operator\n    IdentityFile {key}\n    UserKnownHostsFile {known}\n"
    (lab.directory / "ssh_config").write_text("".join([*hosts, jump]))


@pytest.fixture(scope="module")
def deployed(mixed: Lab, figures: list[str]) -> Invocation:
    done = mixed.deploy(user="operator", timeout=900)
    figures.append(f"three distributions, all ways in at once: {done.seconds:.1f} s")
    return done


def test_the_machines_are_what_they_should_be(mixed: Lab) -> None:
    """The deploy below is worth nothing unless this holds."""
    assert "running" in mixed.run(EL, "firewall-cmd --state 2>&1")
    assert mixed.run(EL, "rpm -q docker-ce nginx iptables-nft; exit 0").count("is not installed") == 3
    assert not mixed.run(EL, "command -v apt-get dpkg iptables dockerd nginx; exit 0")
    assert mixed.run(OLD, ". /etc/os-release; echo $VERSION_ID").strip() == "11"
    assert mixed.run(JUMP, ". /etc/os-release; echo $VERSION_ID").strip() == "13"
    assert not mixed.run(JUMP, "command -v dockerd; exit 0")
    shells = mixed.everywhere("getent passwd operator | cut -d : -f 7")
    assert [Path(shells[name].strip()).name for name in mixed.machines] == ["bash", "fish", "bsd-csh"]


def test_the_cluster_works_and_the_next_run_changes_nothing(mixed: Lab, deployed: Invocation) -> None:
    assert_finished(mixed, deployed, user="operator")


def test_packages_came_through_the_distributions_own_managers(mixed: Lab, deployed: Invocation) -> None:
    platform = PLATFORMS["rocky 9"]
    wanted = [*platform.host, *platform.load_balancer, *platform.nginx_packages, "docker-ce", "containerd.io"]
    mixed.run(EL, f"rpm -q --whatprovides {' '.join(wanted)}")
    assert "docker-ce" in mixed.run(EL, "rpm -q -f $(command -v dockerd)")
    assert mixed.run(EL, "rpm -q gpg-pubkey"), "dnf should have asked for Docker's key"
    for machine in (OLD, JUMP):
        assert mixed.run(machine, "dpkg-query -S $(command -v dockerd)").startswith("docker-ce:")
        assert "127.0.0.1:8099" in mixed.run(machine, "apt-cache policy docker-ce")


def test_the_firewall_is_off_as_the_plan_said(mixed: Lab, deployed: Invocation) -> None:
    assert "stop and disable firewalld" in deployed.text
    assert "inactive" in mixed.run(EL, "systemctl is-active firewalld; exit 0")
    assert "disabled" in mixed.run(EL, "systemctl is-enabled firewalld; exit 0")


def test_the_ways_in_were_as_they_should_be(mixed: Lab, deployed: Invocation) -> None:
    asked = "umask; echo $LANG"
    for machine in mixed.machines:
        said = mixed.run(machine, "cat /proc/$(pgrep -o -x sshd)/status; findmnt -no OPTIONS /tmp")
        assert re.search(r"^Umask:\s+0077$", said, re.MULTILINE) and "noexec" in said, f"{machine}: {asked}: {said}"
    assert PASSWORD not in deployed.text
