"""
A machine with a kernel of its own, and a container that is a master and a node: ipvs, SELinux, a firewall, swap,
modules, the names that a cloud gives, reboot and power cut. The machine is a node, or everything: etcd's only member
and a master too, which takes twice as long and is not in `make test`.

They are a lab of their own, so that this file can run beside those of other clusters. Times are published, not
asserted: the machine is a process of User-mode Linux, which has one processor. The container is the first master, on
which kubectl is asked: the same questions take several times as long on the machine.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import pytest
import web
from availability import InTurn
from invocation import Invocation
from ipvs import servers, services
from laboratory import Lab, until

MACHINE, OTHER = "vm01", "master01"
MACHINES = """\
machines = [
    ("master01", {"ssh_hostname": "192.168.81.10"}),
    ("vm01", {"ssh_hostname": "192.168.81.11", "lab_machine": "uml"}),
]
node = ["master01", "vm01"]
lb = ["master01"]
"""
GROUPS = {"node-only": 'master = etcd = ["master01"]', "everything": 'master = node\netcd = ["vm01"]'}
"""What the machine is -> the other groups of the inventory."""
SETTINGS = """
masters_schedulable = True
load_balancer_port = 8443
ipvs_scheduler = "lc"
"""
SLOW = 1200.0
"""Seconds for a run, and for a machine that boots: where they are over, something hangs."""
ROUND_ROBIN = ("--data", "ipvs_scheduler=rr")
DROP = "iptables -A INPUT -p tcp --dport 22 -j ACCEPT; iptables -A INPUT -i lo -j ACCEPT; iptables -P INPUT DROP"
NO_DROP = "iptables -P INPUT ACCEPT; iptables -F INPUT"


class Found(NamedTuple):
    """What the machine was like before the first run."""

    lab: Lab
    fstab: str
    swaps: str
    selinux: str


class Deployed(NamedTuple):
    lab: Lab
    run: Invocation
    found: Found


@pytest.fixture(scope="module", params=GROUPS)
def found(request: pytest.FixtureRequest, bring_up: Callable[..., Lab], figures: list[str]) -> Found:
    if os.geteuid() != 0:
        pytest.skip("a virtual machine needs root, for its cable")
    started, inventory = time.monotonic(), MACHINES + GROUPS[request.param]
    lab = bring_up("virtual", inventory=inventory, settings=SETTINGS, side_by_side="kubeinfra-vm")
    figures.append(f"a virtual machine ({request.param}) and a container: up {time.monotonic() - started:.0f} s")
    return Found(
        lab,
        fstab=lab.run(MACHINE, "cat /etc/fstab"),
        swaps=lab.run(MACHINE, "sed 1d /proc/swaps"),
        selinux=lab.run(MACHINE, "getenforce").strip(),
    )


def test_a_firewall_that_would_drop_what_the_cluster_needs_is_refused_with_its_rule(found: Found) -> None:
    lab = found.lab
    lab.run(MACHINE, DROP)
    try:
        refused = lab.pyinfra("tasks/preflight.py", timeout=SLOW)
    finally:
        lab.run(MACHINE, NO_DROP)
    assert refused.code != 0, f"the policy should be refused:\n{refused.text}"
    assert re.search(r"INPUT.*DROP|policy drop", refused.text, re.IGNORECASE), f"with its rule:\n{refused.text}"


@pytest.fixture(scope="module")
def deployed(found: Found, figures: list[str]) -> Deployed:
    assert "zram0" in found.swaps and len(found.swaps.splitlines()) == 3, f"swap of three kinds: {found.swaps}"
    assert found.selinux == "Enforcing"
    run = found.lab.deploy(timeout=SLOW)
    figures.append(f"deploy to both: {run.seconds:.0f} s")
    figures.extend(f"    {seconds:5.1f} s  {name}" for name, seconds in run.phases.items())
    return Deployed(found.lab, run, found)


@pytest.fixture(scope="module")
def service(deployed: Deployed) -> str:
    """A pod on each node behind one Service; gives its cluster address."""
    web.serve(deployed.lab)
    return web.address(deployed.lab)


def answering(lab: Lab, machine: str, server: str) -> set[str]:
    """Addresses of the nodes whose pods answer the machine's host there, one connection each."""
    ask = f"for i in 1 2 3 4 5 6 7 8; do curl -s -m 10 http://{server}/hostname || echo FAILED; echo; done"
    answers = Counter(lab.run(machine, ask).split())
    nodes = {one["metadata"]["name"]: one["spec"]["nodeName"] for one in web.pods(lab)}
    assert answers.keys() <= nodes.keys(), f"{machine} should only be answered by pods of the Service: {answers}"
    return {nodes[pod] for pod in answers}


def traffic_flows(lab: Lab, service: str) -> bool:
    """
    From hosts and pods of both kernels to pods of both, by the Service's address and by the machine's node port.

    True, or an AssertionError that says what does not.
    """
    everyone = {lab.address(name) for name in lab.nodes}
    node_port = f"{lab.address(MACHINE)}:{web.NODE_PORT}"
    for machine, server in ((MACHINE, f"{service}:80"), (OTHER, f"{service}:80"), (OTHER, node_port)):
        found = answering(lab, machine, server)
        assert found == everyone, f"pods of all nodes should answer {machine} at {server}: {found}"
    for pod in web.pods(lab):
        for target in (f"{service}:80", "10.0.0.1:443", "10.0.0.2:53"):
            web.connect(lab, pod["metadata"]["name"], target, seconds=20)
    return True


def schedulers(lab: Lab) -> set[str]:
    return {server.scheduler for server in servers(lab.run(MACHINE, "cat /proc/net/ip_vs")).values()}


def wrong_servers(lab: Lab) -> str | bool:
    """True if IPVS has each Service with its endpoints; else which it has not."""
    wanted = services(lab.get("services,endpoints", "--all-namespaces")["items"])
    present = servers(lab.run(MACHINE, "cat /proc/net/ip_vs"))
    assert len(wanted) >= 4, f"there should be some Services: {wanted}"
    lacking = {at: ends for at, ends in wanted.items() if at not in present or present[at].destinations != ends}
    return not lacking or f"{lacking}, found {[present.get(at) for at in lacking]}"


def service_addresses(lab: Lab) -> set[str]:
    """What is on kube-ipvs0."""
    words = lab.run(MACHINE, "ip -brief -4 address show kube-ipvs0").split()
    return {word.partition("/")[0] for word in words[2:]}


def assert_host_is_prepared(lab: Lab, fstab: str) -> None:
    swaps = lab.run(MACHINE, "sed 1d /proc/swaps")
    assert not swaps, f"no swap should be on:\n{swaps}"
    kept = [line for line in fstab.splitlines() if " swap " not in line]
    now = [line for line in lab.run(MACHINE, "cat /etc/fstab").splitlines() if " swap " not in line]
    assert now == kept, f"other lines of fstab should be kept to the byte:\n{now}\n{kept}"
    assert lab.run(MACHINE, "cat /proc/sys/kernel/hostname /etc/hostname").split() == [MACHINE, MACHINE]
    hosts = lab.run(MACHINE, "cat /etc/hosts")
    assert f"{lab.address(OTHER)} {OTHER}" in hosts, f"the inventory's names should be there:\n{hosts}"
    keys = "net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables"
    assert lab.run(MACHINE, f"sysctl -n {keys}").split() == ["1", "1", "1"]
    loaded = set(lab.run(MACHINE, "cut -d ' ' -f 1 /proc/modules").split())
    wanted = {"overlay", "br_netfilter", "nf_conntrack", "ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "ip_vs_lc"}
    assert wanted <= loaded, f"not loaded: {wanted - loaded}"
    persisted = set(lab.run(MACHINE, "cat /etc/modules-load.d/*.conf").split())
    assert wanted <= persisted, f"not loaded at the next boot: {wanted - persisted}"
    assert lab.run(MACHINE, "systemctl is-active chrony").strip() == "active"


def test_the_host_is_prepared(deployed: Deployed) -> None:
    lab = deployed.lab
    assert lab.run(MACHINE, "stat -fc %T /sys/fs/cgroup").strip() == "cgroup2fs", "it should have cgroup v2"
    assert_host_is_prepared(lab, deployed.found.fstab)
    assert lab.run(MACHINE, "getenforce; grep ^SELINUX= /etc/selinux/config").split() == [
        "Permissive",
        "SELINUX=permissive",
    ]


def test_ipvs_has_every_service_with_its_endpoints(deployed: Deployed, service: str) -> None:
    lab = deployed.lab
    until("IPVS has every Service with its endpoints", lambda: wrong_servers(lab), 60)
    assert schedulers(lab) == {"lc"}, "the scheduler should be that of the settings"
    wanted = {at[1] for at in services(lab.get("services,endpoints", "--all-namespaces")["items"])}
    on_link = service_addresses(lab)
    assert on_link == wanted, f"kube-ipvs0 should have the Services' addresses, and no other: {on_link ^ wanted}"
    assert lab.virtual_ip not in on_link, "the load balancers' address is no Service's"
    assert lab.virtual_ip in lab.run(OTHER, "ip -brief address show eth0"), "it should be where keepalived has it"


def test_traffic_flows_through_ipvs(deployed: Deployed, service: str) -> None:
    until("traffic flows", lambda: traffic_flows(deployed.lab, service), 60)


def neighbour(address: str) -> str:
    """What this computer knows of an address of the lab's network once it has asked; "lladdr" is in an answer."""
    show = ["ip", "neigh", "show", "to", address]
    subprocess.run(["ip", "neigh", "flush", "to", address], check=True, capture_output=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.sendto(b"", (address, 9))
    until("ARP has come to an end", lambda: "INCOMPLETE" not in subprocess.check_output(show, text=True), 10)
    return subprocess.check_output(show, text=True)


def test_nobody_answers_arp_for_a_service(deployed: Deployed, service: str) -> None:
    """
    Asked by the computer that has the lab's network, which has no kube-proxy to keep packets for Services; needs
    strictARP in kube-proxy's configuration. An external address of a Service is of the machines' own network.
    """
    lab = deployed.lab
    external = lab.address(MACHINE).rpartition(".")[0] + ".77"
    patch = json.dumps({"spec": {"externalIPs": [external]}})
    lab.kubectl("-n", web.NAMESPACE, "patch", "service", "web", "--type=merge", f"--patch={patch}")
    until("kube-ipvs0 has the Service's external address", lambda: external in service_addresses(lab), 60)
    assert "lladdr" in neighbour(lab.address(MACHINE)), "the machine's own address should be answered for"
    asked = neighbour(external)
    assert asked and "lladdr" not in asked, f"nobody should answer for a Service's external address: {asked}"
    lab.run(MACHINE, f"curl -s -m 10 http://{external}/hostname")  # the machine itself has a use for it


@pytest.mark.parametrize("cut", [False, True], ids=["reboot", "power cut, then with AppArmor"])
def test_everything_comes_back_without_a_run(deployed: Deployed, service: str, cut: bool, figures: list[str]) -> None:
    lab, started = deployed.lab, time.monotonic()
    boot = lab.run(MACHINE, "cat /proc/sys/kernel/random/boot_id")
    if cut:
        lab.python("-m", "lab", "power-cut", MACHINE, timeout=SLOW)
        lab.kernel_arguments(MACHINE, "security=apparmor")
    done = lab.python("-m", "lab", "reboot", MACHINE, timeout=SLOW)
    assert done.code == 0, f"{done} should have succeeded:\n{done.text}"
    booted = time.monotonic() - started
    assert lab.run(MACHINE, "cat /proc/sys/kernel/random/boot_id") != boot, "it should have booted"
    assert lab.run(MACHINE, "cat /sys/module/apparmor/parameters/enabled").strip() == ("Y" if cut else "N")
    ran = lab.run(MACHINE, "systemctl show -P ActiveState cloud-init.service").strip()
    assert ran == "active", f"cloud-init should have been there to give another name: {ran}"
    assert_host_is_prepared(lab, deployed.found.fstab)
    until("the nodes are Ready, and flannel runs", lambda: not (found := lab.ailments()) or found, SLOW)
    until("a pod on each node is ready", lambda: pods_ready(lab), SLOW)
    until("IPVS has every Service with its endpoints", lambda: wrong_servers(lab), 120)
    assert schedulers(lab) == {"lc"}, "the scheduler's module should be loaded at boot"
    until("traffic flows", lambda: traffic_flows(lab, service), 120)
    name = "power cut" if cut else "reboot"
    figures.append(f"{name} of a virtual machine: up {booted:.0f} s, all {time.monotonic() - started:.0f} s")


def pods_ready(lab: Lab) -> bool:
    status = lab.get("-n", web.NAMESPACE, "daemonset", "web")["status"]
    return bool(status.get("numberReady") == len(lab.nodes))


def test_the_next_run_changes_nothing(deployed: Deployed, service: str) -> None:
    done = deployed.lab.deploy("--json", timeout=SLOW)
    assert not done.changes, f"nothing should be left to do after a reboot and a power cut: {done.changes}"


@pytest.mark.parametrize(
    ("tasks", "settings", "mode"),
    [
        (["node"], ("--data", "kube_proxy_mode=iptables"), "iptables"),
        (["ipvs", "node"], ROUND_ROBIN, "ipvs"),
    ],
    ids=["there", "and back"],
)
def test_the_other_mode_and_back_with_another_scheduler(
    deployed: Deployed, service: str, tasks: list[str], settings: tuple[str, ...], mode: str, figures: list[str]
) -> None:
    """The way there leaves no virtual server, the way back no chain; what a client of the node port meets meanwhile."""
    lab = deployed.lab
    url = f"http://{lab.address(MACHINE)}:{web.NODE_PORT}/hostname"
    with InTurn(lambda: urllib.request.urlopen(url, timeout=2).read()) as client:
        runs = [lab.pyinfra(f"tasks/{task}.py", "--limit", MACHINE, *settings, timeout=SLOW) for task in tasks]
    for done in runs:
        assert done.code == 0, f"{done} should have succeeded:\n{done.text}"
    figures.append(
        f"kube-proxy of a virtual machine to {mode}: {sum(done.seconds for done in runs):.0f} s; {client.said()}"
    )
    assert lab.run(MACHINE, "curl -s http://127.0.0.1:10249/proxyMode") == mode
    # kube-proxy is healthy before it has written all its rules.
    until("traffic flows", lambda: traffic_flows(lab, service), 120)
    if mode == "iptables":
        left = servers(lab.run(MACHINE, "cat /proc/net/ip_vs"))
        assert not left, f"no virtual server should be left: {left}"
        assert not lab.run(MACHINE, "ls -d /sys/class/net/kube-ipvs0 2>/dev/null; exit 0"), "nor their addresses"
    else:
        until("the scheduler of all virtual servers is the new one", lambda: schedulers(lab) == {"rr"}, 60)
        chains = lab.run(MACHINE, "iptables-save | grep -E '^:KUBE-(SVC|SEP)'; exit 0")
        assert not chains, f"no chain of iptables mode should be left:\n{chains}"
