"""Preflight's checks of a machine: no finding for a valid one, one exact sentence for each thing that cannot work."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest
from cluster_samples import SEEN, cluster, guide

from kubeinfra.checks.base import Seen
from kubeinfra.checks.catalogue import findings
from kubeinfra.checks.secrets import needed_secrets, secret_findings
from kubeinfra.cluster.cluster import Cluster
from kubeinfra.findings import Finding
from kubeinfra.machine.software import Software
from kubeinfra.machine.state import InstalledRuntime, InterfaceAddress, MachineState


def found_on(cluster: Cluster, name: str, state: MachineState) -> list[Finding]:
    """What all checks of preflight find, where this is the only machine that was read."""
    return findings(Seen(cluster, {name: state}))


def on(interface: str, address: str) -> InterfaceAddress:
    return InterfaceAddress(interface, IPv4Interface(address))


SOUND = replace(SEEN, keeps_time=True, interfaces=(on("lo", "127.0.0.1/8"), on("eth0", "192.168.80.11/24")))
Row = tuple[dict[str, Any], dict[str, Any], str]
ROWS: dict[str, Row] = {
    "root": (
        {"uid": 1000},
        {},
        "n1: commands run as user 1000, root is needed; "
        "set _sudo = True in group_data/all.py, or connect with --ssh-user root",
    ),
    "architecture": ({"arch": "riscv64"}, {}, "n1: architecture riscv64 is not supported: amd64 or arm64"),
    "systemd": (
        {"systemd": 208},
        {},
        "n1: systemd 208 is too old, 219 or newer is needed: take a distribution of docs/platforms.md",
    ),
    "distribution": (
        {"family": ""},
        {},
        "n1: has neither apt-get nor dnf or yum; install from a Debian- or RHEL-like",
    ),
    "address": (
        {"interfaces": (on("eth0", "10.1.0.5/24"),)},
        {},
        "n1: no interface has its address 192.168.80.11; it has 10.1.0.5: say in the inventory which of them the "
        'other machines reach, such as {"ssh_hostname": "192.168.80.11", "address": "10.1.0.5"}',
    ),
    "time-daemon": (
        {
            "keeps_time": False,
            "software": Software(version="12", packages=(("systemd-timesyncd", "252.36"),)),
        },
        {},
        "n1: systemd-timesyncd is installed and does not run; and chrony, which the deploy would set up, cannot come "
        "while it is there: start it (systemctl enable --now systemd-timesyncd), or remove it (apt-get remove "
        "systemd-timesyncd), or set time_servers to []",
    ),
    "clock": (
        {"clock_ahead": -300.4},
        {},
        "n1: its clock is 300 s behind this controller's; certificates need clocks that agree within 240 s: set the "
        "one that is wrong, and see why its time daemon has not",
    ),
    "container-runtime": (
        {"runtimes": {"docker": InstalledRuntime((29,))}},
        {},
        "n1: Docker 29 is installed; Kubernetes 1.20.15 needs one below 29: remove it, and the deploy installs one "
        "that fits, or put an older one in its place",
    ),
    "networks": (
        {},
        {"service_cidr": "192.168.80.128/25", "dns_address": "192.168.80.130"},
        "n1: service_cidr 192.168.80.128/25 overlaps its network 192.168.80.0/24 (eth0); set service_cidr = "
        '"10.96.0.0/25", and dns_address = "10.96.0.2" in group_data/all.py: no machine uses it',
    ),
    "name-servers": (
        {"resolv_conf": "nameserver 127.0.0.53\n"},
        {},
        "n1: /etc/resolv.conf names no server that pods can reach, and CoreDNS asks those of it; set dns_upstreams "
        'in group_data/all.py, such as ["192.168.80.1"], or to [] for no names outside the cluster',
    ),
}


STUB = "nameserver 127.0.0.53\n"
UNREACHABLE = {
    "systemd-resolved whose own server is on the machine": (STUB, "nameserver 127.0.0.1\n"),
    "systemd-resolved without a server": (STUB, "# No DNS servers known.\n"),
    "a server of IPv6, which pods do not have": ("nameserver fe80::1%eth0\n", ""),
    "no /etc/resolv.conf": ("", ""),
}


@pytest.mark.parametrize("case", UNREACHABLE)
def test_name_servers_that_pods_cannot_reach_are_an_error_unless_a_setting_names_others(case: str) -> None:
    etc, resolved = UNREACHABLE[case]
    state = replace(SOUND, resolv_conf=etc, systemd_resolv_conf=resolved)
    for upstreams, count in ((["/etc/resolv.conf"], 1), (["192.168.80.1"], 0), ([], 0)):
        found = cluster(dns_upstreams=upstreams)
        every = found_on(found, "n1", state)
        assert [one.check for one in every] == ["name-servers"] * count
        assert all("systemd-resolved" in one.found for one in every) is bool(resolved) or not count
        assert all('set dns_upstreams in group_data/all.py, such as ["192.168.80.1"]' in one.remedy for one in every)


def test_a_valid_machine_has_no_findings() -> None:
    found = cluster()
    assert found_on(found, "n1", SOUND) == []


@pytest.mark.parametrize("check", ROWS)
def test_what_cannot_work_is_an_error_with_its_check(check: str) -> None:
    differs, settings, sentence = ROWS[check]
    found = cluster(**settings)
    (finding,) = found_on(found, "n1", replace(SOUND, **differs))
    assert finding.sentence() == sentence
    assert (finding.check, finding.machine, finding.level) == (check, "n1", "error")


def test_a_clock_that_the_deploy_sets_is_no_error() -> None:
    found = cluster()
    (finding,) = found_on(found, "n1", replace(SOUND, clock_ahead=300, keeps_time=False))
    assert finding.level == "warning"
    assert finding.sentence() == (
        "n1: its clock is 300 s ahead of this controller's; chrony will be set up with ntp.aliyun.com, pool.ntp.org, "
        "and the run ends if it does not correct the clock"
    )


def test_a_machine_without_pods_may_have_any_docker() -> None:
    found = cluster()
    here = (on("eth0", "192.168.80.10/24"),)
    state = replace(SOUND, runtimes={"docker": InstalledRuntime((29,))}, resolv_conf="", interfaces=here)
    assert found_on(found, "m1", state) == []


def test_a_secret_that_only_the_machine_has_is_an_error() -> None:
    found = guide()
    state = replace(SOUND, secrets=frozenset({"bootstrap-token", "service-account-key"}))
    (finding,) = secret_findings(found, found.machine("m1"), state, ["bootstrap-token"], Path("/c"))
    assert finding.sentence() == (
        "m1: has the cluster's service-account-key, but /c does not; restore that directory from a backup, or bring "
        "it from the controller that set the cluster up"
    )


def test_a_password_is_made_only_for_load_balancers_without_one() -> None:
    assert "vrrp-password" in needed_secrets(guide())
    assert "vrrp-password" not in needed_secrets(guide(vrrp_password="8letters"))
    assert "vrrp-password" not in needed_secrets(cluster())
