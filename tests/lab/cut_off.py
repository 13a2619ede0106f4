"""A controller and machines with no network but the one between them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Interface

from laboratory import Lab

# Asked before what Docker writes, and left to others: https://docs.docker.com/engine/network/packet-filtering-firewalls/
CHAIN = "DOCKER-USER"


@contextmanager
def cut_off(lab: Lab) -> Iterator[None]:
    """
    Meanwhile this lab's machines reach each other and nothing else, and its controller's commands run in a network
    namespace that reaches these machines and nothing else. Needs root.
    """
    bridge, cable = f"br-{lab.lab}", f"v-{lab.lab}"
    address = IPv4Interface(f"{lab.address(lab.machines[0])}/24").network[250]
    beyond = (CHAIN, "-i", bridge, "!", "-o", bridge, "-j", "REJECT")
    inside = ("ip", "-n", lab.lab)
    with ExitStack() as undo:
        _call("ip", "netns", "add", lab.lab)
        undo.callback(_call, "ip", "netns", "delete", lab.lab)  # and the cable with it
        _call("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", lab.lab)
        _call("ip", "link", "set", cable, "master", bridge, "up")
        _call(*inside, "address", "add", f"{address}/24", "dev", "eth0")
        _call(*inside, "link", "set", "lo", "up")
        _call(*inside, "link", "set", "eth0", "up")
        _call("iptables", "--insert", *beyond)
        undo.callback(_call, "iptables", "--delete", *beyond)
        lab.within = ["ip", "netns", "exec", lab.lab]
        undo.callback(lab.within.clear)
        yield


def _call(*command: str) -> None:
    subprocess.run(command, check=True)
