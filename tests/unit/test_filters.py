"""Rules of iptables and nftables that were misread: what they do with one packet."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest
from survey_samples import ACCEPT, nft

from kubeinfra.machine import iptables, nftables
from kubeinfra.machine.filters import Packet, dropped_by
from kubeinfra.machine.survey import survey

TCP = Packet("tcp", 10250, IPv4Address("10.1.2.3"), IPv4Address("192.168.80.11"), "eth0")
UDP = Packet("udp", 8472, IPv4Address("10.1.2.3"), IPv4Address("192.168.80.11"), "eth0")


@pytest.mark.parametrize(
    "rule",
    [
        "-m physdev --physdev-is-bridged -j ACCEPT",
        "-m physdev ! --physdev-is-bridged -j ACCEPT",
        "-m recent --rcheck --seconds 60 --name knock --mask 255.255.255.255 --rsource -j ACCEPT",
        "-m socket --transparent -j ACCEPT",
        "-m socket --transparent ! -s 10.9.0.0/16 -j ACCEPT",
        "-s 10.0.0.0/255.0.255.0 -j ACCEPT",
        "! -d 10.0.0.0/255.0.255.0 -j ACCEPT",
    ],
)
def test_a_condition_of_iptables_that_is_not_known_may_let_it_in(rule: str) -> None:
    assert iptables_drops(f"-A INPUT {rule}") is None


def test_what_follows_an_option_without_a_value_is_read_still() -> None:
    """`! -s` here is not about this packet: it counts as dropped by the policy."""
    assert iptables_drops("-A INPUT -m socket --transparent ! -s 10.0.0.0/8 -j ACCEPT") == "iptables -P INPUT DROP"
    assert iptables_drops("-A INPUT -m set --match-set k8s src -p udp -j ACCEPT") == "iptables -P INPUT DROP"


def iptables_drops(line: str) -> str | None:
    return dropped_by(iptables.chains([":INPUT DROP [0:0]", line]), "INPUT", TCP)


@pytest.mark.parametrize(
    "left",
    [
        {"payload": {"base": "th", "offset": 16, "len": 16}},
        {"payload": {"protocol": "ether", "field": "saddr"}},
    ],
)
def test_a_payload_of_nftables_that_is_not_known_may_let_it_in(left: dict[str, Any]) -> None:
    assert nft_drops([{"match": {"op": "==", "left": left, "right": 10250}}, ACCEPT], packet=TCP) is None


def test_a_port_of_tcp_is_compared_in_packets_of_tcp_only() -> None:
    """Nothing but ssh is dropped in tcp; what nft leaves out is that the rule is about tcp."""
    left = {"payload": {"protocol": "tcp", "field": "dport"}}
    rule = [{"match": {"op": "!=", "left": left, "right": 22}}, {"drop": None}]
    assert nft_drops(rule, packet=UDP, policy="accept") is None
    assert nft_drops(rule, packet=TCP, policy="accept") == "nft rule inet mine in handle 7"


def test_a_chain_with_the_name_of_iptables_is_read_if_the_survey_has_it() -> None:
    """Such as iptables-translate writes; what iptables lists itself does not come."""
    chain = {"family": "ip", "table": "filter", "name": "INPUT"}
    (text,) = survey([f"survey {nft(**chain)}"]).nft
    ((begin, chains),) = nftables.base_chains(text).items()
    assert dropped_by(chains, begin, TCP) == "nft chain ip filter INPUT: policy drop"


def nft_drops(rule: Any, packet: Packet, policy: str = "drop") -> str | None:
    (text,) = survey([f"survey {nft(rule, policy=policy)}"]).nft
    ((begin, chains),) = nftables.base_chains(text).items()
    return dropped_by(chains, begin, packet)
