"""What `make prove` deploys, and what it writes of it."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date
from ipaddress import ip_address

import pytest
from cluster_samples import entry, problems
from prove import INVENTORY, PROVED, described, laboratory, recorded

from kubeinfra.releases.catalogue import NEWEST, PROOFS, Proof

PROOF = Proof("1.30.14", date(2026, 11, 27), "in containers", 2, 95, 20)


def entries(text: str) -> list[Proof]:
    return [Proof(**table) for table in tomllib.loads(text)["proved"]]


def test_the_file_as_it_is_has_the_form_that_is_written() -> None:
    text = PROVED.read_text(encoding="utf-8")
    first = next(one for one in PROOFS if one.machines is None)
    assert recorded(recorded(text, PROOF), PROOF) == recorded(text, PROOF)
    assert first in entries(recorded(text, PROOF))
    assert recorded(text, PROOF).partition("[[proved]]")[0] == text.partition("[[proved]]")[0]


def test_an_entry_is_added_in_its_place_and_replaces_only_one_with_figures() -> None:
    text = '# head\n\n[[proved]]\nrelease = "1.30.14"\ndate = 2026-11-26\nhow = "by hand"\n'
    by_hand = Proof("1.30.14", date(2026, 11, 26), "by hand")
    once = recorded(text, PROOF)
    assert once.startswith(text)
    assert entries(once) == [by_hand, PROOF]
    again = replace(PROOF, first_deploy=80)
    assert entries(recorded(once, again)) == [by_hand, again]
    older = replace(PROOF, release="1.4.0")
    assert entries(recorded(once, older)) == [older, by_hand, PROOF]


def test_how_it_was_proved_names_what_ran() -> None:
    built = {"own_builds": {"etcd/3.4.23/x": "sha256:0"}, "etcd_version": "3.4.23"}
    assert described(built, "1.20.15", "docker://20.10.24", "iptables") == (
        "make prove, in containers, with docker 20.10.24, etcd 3.4.23 and iptables, built from Go modules"
    )
    assert described({}, "1.37.2", "containerd://2.4.2", "nftables") == (
        "make prove, in containers, with containerd 2.4.2, etcd 3.7.3 and nftables, upstream's binaries"
    )


@pytest.mark.parametrize("minor", NEWEST)
def test_each_minor_has_a_sound_cluster_of_two_machines_in_a_lab_of_its_own(minor: str) -> None:
    lab = laboratory(minor)
    groups = {"master": lab.masters, "node": lab.nodes, "etcd": lab.etcd, "lb": lab.load_balancers}
    machines = [
        entry(name, address, " ".join(group for group, members in groups.items() if name in members))
        for name, address in lab.addresses.items()
    ]
    version = lab.directory.name
    assert version.startswith(f"{minor}.")
    assert lab.settings.endswith(f'kubernetes_version = "{version}"\n')
    assert len(f"br-{lab.lab}") <= 15, "the longest name of an interface"
    assert problems(machines, kubernetes_version=version) == ()
    assert {str(ip_address(one)).rpartition(".")[0] for one in lab.addresses.values()} == {"192.168.83"}, INVENTORY


def test_a_minor_that_is_not_known_is_told_with_those_that_are() -> None:
    with pytest.raises(AssertionError, match=r"no such minor: 1\.19; there are 1\.20, "):
        laboratory("1.19")
