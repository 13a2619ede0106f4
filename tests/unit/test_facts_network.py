"""Which machine has the virtual address, and which one answers for it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest
from local_machine import answer, program

from kubeinfra.facts.network import VirtualAddress, VirtualAddressState

VIRTUAL, OWN, PEER = "192.168.80.100", "192.168.80.13", "192.168.80.14"
ADDRESSES = f"""\
1: lo    inet 127.0.0.1/8 scope host lo
2: eth0    inet {OWN}/24 brd 192.168.80.255 scope global eth0"""
MAC = {PEER: "02:00:00:00:00:14", VIRTUAL: "02:00:00:00:00:99"}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    program(tmp_path / "programs", "ping", "exit 1")
    return tmp_path / "programs"


def seen(programs: Path, neighbours: dict[str, str], own: str = ADDRESSES) -> VirtualAddressState:
    """What the machine sees when these addresses answer with these link-layer addresses."""
    cases = " ".join(
        f'{address}) echo "{address} dev eth0 lladdr {mac} REACHABLE" ;;' for address, mac in neighbours.items()
    )
    unanswered = '*) echo "$3 dev eth0 FAILED" ;;'
    listing = f'case "$*" in *addr*) echo "{own}" ;; *) case "$3" in {cases} {unanswered} esac ;; esac'
    program(programs, "ip", listing)
    found: VirtualAddressState = answer(VirtualAddress(), programs=programs, address=VIRTUAL, peers=[PEER])
    return found


def test_the_interface_of_the_machine_is_found(programs: Path) -> None:
    found = seen(programs, {})
    assert found.interface_of(IPv4Address(OWN)) == ("eth0", IPv4Interface(f"{OWN}/24"))
    assert found.interface_of(IPv4Address("192.168.80.99")) is None
    assert not found.has(IPv4Address(VIRTUAL))


def test_an_address_that_nobody_answers_for_is_free(programs: Path) -> None:
    found = seen(programs, {PEER: MAC[PEER]})
    assert (found.answered_by, found.stranger) == ("", False)


def test_an_address_that_another_load_balancer_holds_is_no_strangers(programs: Path) -> None:
    assert not seen(programs, {PEER: MAC[PEER], VIRTUAL: MAC[PEER]}).stranger


def test_an_address_that_another_machine_answers_for_is_a_strangers(programs: Path) -> None:
    found = seen(programs, MAC)
    assert (found.answered_by, found.stranger) == (MAC[VIRTUAL], True)


def test_an_address_that_this_machine_holds_is_found(programs: Path) -> None:
    own = f"{ADDRESSES}\n2: eth0    inet {VIRTUAL}/24 scope global secondary eth0"
    assert seen(programs, {}, own).has(IPv4Address(VIRTUAL))
