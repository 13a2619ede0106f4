"""
One cluster of machines that differ: Rocky Linux's package manager, Debian 11 and 13, the former with BusyBox's shell;
firewalld, ufw and a policy of nftables that drops; and every way in that a person's own machines may have, all at once:
an ordinary user whose sudo wants a password, umask 077, a /tmp where no program runs, a jump host, another port, login
shells that are no sh or that print, another language, two network cards.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path

import busybox
import pytest
from invocation import Invocation
from laboratory import Lab, until
from observe import assert_finished, started_again, starts

from kubeinfra.components.platforms import PLATFORMS
from lab.docker import docker
from lab.names import NAME, OWN, container
from tests.sent import Sent, read, recording, scripts
from tests.unit.shell_check import inner

PORT = 2222
PASSWORD = "two words"
EL, OLD, JUMP = "el01", "old01", "new01"
SECOND = f"{NAME}-second"
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
time_servers = ["192.168.80.12"]
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
# BusyBox's shell for all that is sent and for all units; a firewall as Debian has it; no container to whoever looks, so
# that it is given a time daemon, which is not to set this kernel's clock.
OLD_CONDITIONS = f"""\
set -eu
ln -sf busybox /bin/sh
ufw allow {PORT}/tcp
ufw --force enable
rm -f /.dockerenv /run/systemd/container
echo 'DAEMON_OPTS="-x"' >/etc/default/chrony
"""
# The others' time server, and rules of its own, which are loaded at boot. OTHERS: those whom they let in besides ssh.
JUMP_CONDITIONS = """\
set -eu
echo 'DAEMON_OPTS="-x"' >/etc/default/chrony
printf 'local stratum 8\\nallow 192.168.80.0/24\\ndriftfile /var/lib/chrony/drift\\n' >/etc/chrony/chrony.conf
systemctl enable --quiet chrony nftables
systemctl restart chrony
"""
RULES = f"""\
table inet person
delete table inet person
table inet person {{
    chain input {{
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iif lo accept
        ip protocol icmp accept
        tcp dport {PORT} accept
        OTHERS
    }}
}}
"""
LET_IN = "ip saddr { 192.168.80.10, 192.168.80.11 } accept"


@pytest.fixture(scope="module")
def mixed(bring_up: Callable[..., Lab]) -> Lab:
    lab = bring_up("distributions", inventory=INVENTORY, settings=SETTINGS)
    for machine in lab.machines:
        allowed = "" if machine == JUMP else lab.address(JUMP)
        lab.run(machine, f"sh -s -- {allowed}", stdin=CONDITIONS)
    lab.run(OLD, "sh", stdin=OLD_CONDITIONS)
    lab.run(JUMP, "sh", stdin=JUMP_CONDITIONS)
    _second_cards(lab)
    with (lab.directory / "config.py").open("a") as file:
        file.write(recording(_record(lab)))
    with (lab.directory / "group_data" / "all.py").open("a") as file:
        file.write(WAYS)
    lab.forget_own_setting("docker_source")  # it comes later, and names a Docker that these machines do not have
    _ssh_config(lab)
    return lab


def _record(lab: Lab) -> Path:
    """Where all is noted that runs send; keys are among it."""
    return lab.directory / ".lab" / "record"


def _second_cards(lab: Lab) -> None:
    """Their network's name comes first in the alphabet, as the card does: the default route is through it."""
    docker("network", "create", f"--label={OWN}", "--subnet=192.168.82.0/24", SECOND)
    for machine in lab.machines:
        last = lab.address(machine).rpartition(".")[2]
        docker("network", "connect", f"--ip=192.168.82.{last}", SECOND, container(machine))


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
def refused(mixed: Lab) -> Invocation:
    """Preflight while the firewall of one lets in nobody but ssh. Then it lets in what that has told."""
    load = "cat >/etc/nftables.conf && systemctl restart nftables"
    mixed.run(JUMP, load, stdin=RULES.replace("OTHERS", ""))
    done = mixed.pyinfra("tasks/preflight.py", user="operator")
    mixed.run(JUMP, load, stdin=RULES.replace("OTHERS", LET_IN))
    return done


@pytest.fixture(scope="module")
def deployed(mixed: Lab, refused: Invocation, figures: list[str]) -> Invocation:
    done = mixed.deploy(user="operator", timeout=900)
    figures.append(f"three distributions, all ways in at once: {done.seconds:.1f} s")
    return done


def test_the_machines_are_what_they_should_be(mixed: Lab) -> None:
    """The deploy below is worth nothing unless this holds."""
    assert "running" in mixed.run(EL, "firewall-cmd --state 2>&1")
    assert mixed.run(EL, "rpm -q docker-ce nginx iptables-nft; exit 0").count("is not installed") == 3
    assert not mixed.run(EL, "command -v apt-get dpkg iptables dockerd nginx; exit 0")
    assert mixed.run(OLD, ". /etc/os-release; echo $VERSION_ID; readlink -f /bin/sh").split() == ["11", "/bin/busybox"]
    assert re.search(r"Status: active\b.*\bdeny \(incoming\)", mixed.run(OLD, "ufw status verbose"), re.DOTALL)
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


@pytest.mark.parametrize(("machine", "unit"), [(EL, "firewalld"), (OLD, "ufw")])
def test_the_firewall_is_off_as_the_plan_said(mixed: Lab, deployed: Invocation, machine: str, unit: str) -> None:
    assert f"stop and disable {unit}" in deployed.text
    assert "inactive" in mixed.run(machine, f"systemctl is-active {unit}; exit 0")
    assert "disabled" in mixed.run(machine, f"systemctl is-enabled {unit}; exit 0")


def test_nothing_of_ufw_drops_any_more(mixed: Lab, deployed: Invocation) -> None:
    """It leaves its first chains, which are empty."""
    assert "Status: inactive" in mixed.run(OLD, "ufw status")
    rules = mixed.run(OLD, "iptables -S").splitlines()
    assert {"-P INPUT ACCEPT", "-P FORWARD ACCEPT"} <= {*rules}, rules
    assert not [rule for rule in rules if rule.startswith("-A ufw")], rules


def test_a_policy_that_drops_is_refused_with_what_it_drops(mixed: Lab, refused: Invocation) -> None:
    """Of ufw, which is to be switched off, nothing is told."""
    assert refused.code != 0, f"the policy should be refused:\n{refused.text}"
    words = " ".join(re.sub("[│┃|]", " ", refused.text).split())
    told = re.findall(r"its firewall drops (.*?) \((.*?): policy drop\)", words)
    assert [where for _, where in told] == ["nft chain inet person input"], refused.text
    assert told[0][0] == "tcp 10250 from masters, udp 8472 from nodes", told


def test_a_policy_that_drops_stays_where_it_lets_the_cluster_in(mixed: Lab, deployed: Invocation) -> None:
    """The deploy's own traffic check, and `assert_finished`, say that the cluster works with it."""
    assert "policy drop" in mixed.run(JUMP, "nft list chain inet person input")
    kubelet = (mixed.address(JUMP), 10250)
    mixed.run(EL, f"bash -c 'exec 3<>/dev/tcp/{kubelet[0]}/{kubelet[1]}'")
    with pytest.raises(TimeoutError):
        socket.create_connection(kubelet, timeout=2)


def test_chrony_follows_a_server_of_the_settings(mixed: Lab, deployed: Invocation) -> None:
    assert "a container has its host's clock" in deployed.text, "which is so on the other machines"
    assert "enabled" in mixed.run(OLD, "systemctl is-enabled chrony")

    def follows() -> bool | str:
        said = mixed.run(OLD, "chronyc -n tracking; chronyc -n sources")
        wanted = (r"\(192\.168\.80\.12\)", r"Stratum +: 9\b", r"Leap status +: Normal", r"\^\* 192\.168\.80\.12 ")
        return all(re.search(one, said) for one in wanted) or said

    until("chrony is synchronised to it", follows, 60)


@pytest.fixture(scope="module")
def sent(mixed: Lab, deployed: Invocation) -> list[Sent]:
    """Of all runs, to all machines."""
    return read(_record(mixed))


def test_busybox_reads_every_script(mixed: Lab, sent: list[Sent]) -> None:
    every = {text for script in scripts(sent) for text in (script, *inner(script))}
    assert len(every) > 100 and {one.machine for one in sent} == {*mixed.machines}
    unreadable = busybox.unreadable(mixed, OLD, [*every, "if true; then echo"])
    assert len(unreadable) == 1 and "syntax error" in unreadable[0], "\n".join(unreadable)


def test_busybox_gives_the_answers_that_debian_11_gives(mixed: Lab, sent: list[Sent]) -> None:
    """Of all facts, which only read; programs that preflight wants to be GNU's are left."""
    facts = sorted({one.command for one in sent if one.machine == OLD and one.is_fact and "askpass" not in one.command})
    busybox.prepare(mixed, OLD, PLATFORMS["debian 11"].tools)
    before = busybox.own_answers(mixed, OLD, facts)
    found = busybox.answers(mixed, OLD, facts)
    after = busybox.own_answers(mixed, OLD, facts)
    assert len(facts) > 15 and sum(len(one.lines) for one in found) > 100, facts
    for command, first, answer, last in zip(facts, before, found, after, strict=True):
        steady = set(first.lines) & set(last.lines)
        assert (answer.code, steady - set(answer.lines)) == (first.code, set()), command
        assert len(answer.lines) == len(last.lines), f"{command}\n{answer}\n{last}"


def test_the_ways_in_were_as_they_should_be(mixed: Lab, deployed: Invocation) -> None:
    asked = "umask; echo $LANG"
    for machine in mixed.machines:
        said = mixed.run(machine, "cat /proc/$(pgrep -o -x sshd)/status; findmnt -no OPTIONS /tmp")
        assert re.search(r"^Umask:\s+0077$", said, re.MULTILINE) and "noexec" in said, f"{machine}: {asked}: {said}"
    assert PASSWORD not in deployed.text


def test_the_firewalls_are_after_a_reboot_as_the_deploy_left_them(mixed: Lab, deployed: Invocation) -> None:
    before = starts(mixed)
    docker("restart", "--time=10", *(container(machine) for machine in mixed.machines))
    until("all containers have started anew, behind them", lambda: started_again(mixed, before), 240)
    until("the nodes are Ready, and flannel runs", lambda: not (found := mixed.ailments()) or found, 60)
    assert "policy drop" in mixed.run(JUMP, "nft list chain inet person input")
    assert "Status: inactive" in mixed.run(OLD, "ufw status")
    assert "inactive" in mixed.run(EL, "systemctl is-active firewalld; exit 0")
