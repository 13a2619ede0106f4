"""What the traffic check says of a pod that does not reach another: run here, with stand-ins for what asks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cluster_samples import cluster
from local_machine import program, shell

from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.components.verify import why_not

POD, MACHINE = "10.244.2.2", "node2"
PODS = "echo-1 10.244.1.2 node1\necho-2 10.244.2.2 node2"
ALL, NOTHING = 65536, 0


@dataclass(frozen=True)
class Network:
    """
    From node1 to node2.

    + largest: packet in bytes that passes from pod to pod, with ICMP; + udp, tcp: whether they do
    + machine_largest, machine_udp: the same from machine to machine; + vxlan: whether node1 reaches flannel's interface
    + counts: packets that left node1, arrived at node2, left that, came back
    """

    largest: int = ALL
    udp: bool = True
    tcp: bool = True
    machine_largest: int = ALL
    machine_udp: bool = True
    vxlan: bool = True
    counts: tuple[int, int, int, int] = (20, 20, 20, 20)


def said(directory: Path, network: Network, missed: str = f"missed node1 {POD}:8080 TIMEOUT", **settings: Any) -> str:
    """Lines of stderr."""
    limits = {POD: network.largest, MACHINE: network.machine_largest, "10.244.2.0": ALL if network.vxlan else NOTHING}
    pings = " ".join(f"{address}) limit={limit} ;;" for address, limit in limits.items())
    program(directory, "ping", f'for to; do :; done; case $to in {pings} esac; [ "$6" -le $((limit - 28)) ]')
    refused = [f"*host={POD}*"] * (not network.udp) + [f"*host={MACHINE}*"] * (not network.machine_udp)
    lost = f"{'|'.join(refused)}) exit 1 ;;" if refused else ""
    program(directory, "nc", f"case $(cat) in {lost} *) echo responses ;; esac")
    program(directory, "agnhost", f'[ "$3" != {POD}:8080 ] || {"true" if network.tcp else "false"}')
    program(directory, "ip", 'echo "$3 via 192.168.80.1 dev eth0 src 192.168.80.11"')
    mtu = directory / "net" / "eth0" / "mtu"
    mtu.parent.mkdir(parents=True)
    mtu.write_text("1450\n")
    left, arrived, back, came = network.counts
    counts = {"from": f"{left + 100} {came + 100}", "to": f"{back + 100} {arrived + 100}"}
    program(
        directory,
        "kubectl",
        f"""[ "$1" != --namespace ] || shift 2
case "$*" in
apply*) cat >{directory}/applied ;;
wait*) ;;
"get node node2"*) printf 10.244.2.0/24 ;;
"exec machine-"*statistics*)
    seen={directory}/$2.seen
    if [ ! -e "$seen" ]; then touch "$seen"; printf '100\\n100\\n'
    elif [ "$2" = machine-from ]; then printf '{counts["from"]}' | tr ' ' '\\n'
    else printf '{counts["to"]}' | tr ' ' '\\n'; fi ;;
exec*)
    shift 5; script=$1; shift
    exec sh -c "$(printf "%s" "$script" | sed 's#/agnhost#{directory}/agnhost#; s#/sys/class#{directory}#')" "$@" ;;
*) echo "what is $*" >&2; exit 9 ;;
esac""",
    )
    function = why_not(cluster(**settings)).replace(KUBECTL, f"{directory}/kubectl")
    ran = shell(f'set -eu\npods="{PODS}"\nmissed="{missed}"\n{function}\nwhy_not >&2', programs=directory)
    assert ran.returncode == 0, ran.stderr
    return ran.stderr


FORWARD = Network(NOTHING, udp=False, tcp=False)
LOST = replace(FORWARD, vxlan=False, counts=(20, 0, 0, 0))
HOST_GW = {"flannel_backend": "host-gw"}


@pytest.mark.parametrize(
    ("network", "settings", "next_thing"),
    [
        (LOST, {}, "udp 8472 does not pass from node1 to node2, other udp does"),
        (replace(LOST, counts=(20, 20, 20, 1)), {"flannel_port": 4789}, "udp 4789 does not pass from node2 to node1,"),
        (replace(LOST, machine_udp=False), {}, "let udp 8472 pass between the nodes, from node1 to node2 first"),
        (Network(1300, tcp=False), {}, "packets of full size are lost between the machines: set flannel_mtu = 1300"),
        (Network(1449), HOST_GW, "packets of full size are lost between the machines: set flannel_mtu = 1400"),
        (Network(udp=False, tcp=False), {}, "vxlan passes, and what is in it is damaged or dropped"),
        (Network(tcp=False), {}, "vxlan passes, and what is in it is damaged or dropped"),
        (Network(tcp=False), HOST_GW, "packets arrive, some protocols do not"),
        (FORWARD, {}, "vxlan passes, and node2 or node1 does not pass packets on"),
        (FORWARD, HOST_GW, "see that node2 passes packets on to its pods"),
        (Network(), {}, "all of it passes now; run tasks/verify.py again"),
    ],
)
def test_what_passes_tells_what_to_do_next(
    tmp_path: Path, network: Network, settings: dict[str, Any], next_thing: str
) -> None:
    lines = said(tmp_path, network, **settings).splitlines()
    assert lines[-1].startswith(f"next: {next_thing}"), lines
    assert sum(line.startswith("next: ") for line in lines) == 1, lines


def test_it_says_what_it_saw_of_each_protocol(tmp_path: Path) -> None:
    network = Network(NOTHING, udp=False, tcp=False, vxlan=False, machine_largest=500, counts=(14, 0, 3, 2))
    assert said(tmp_path, network).splitlines()[:3] == [
        "from the pod on node1 to the one on node2: ICMP of 500 bytes does not, ICMP of 1450 bytes does not, UDP does "
        "not, TCP does not",
        "from the machine node1 to node2 (ports 18080 and 18081): ICMP of 500 bytes passes, ICMP of 1450 bytes does "
        "not, UDP passes, TCP passes",
        "by vxlan (udp 8472): 14 packets left node1, 0 arrived at node2; 3 left that, 2 came back",
    ]
    applied = (tmp_path / "applied").read_text()
    assert 'nodeName: "node1"' in applied and 'nodeName: "node2"' in applied


def test_a_service_that_refuses_is_one_whose_endpoints_kube_proxy_has_not_heard_of(tmp_path: Path) -> None:
    """As where eth0 of one machine has an MTU of 1300, and its connections to the API server stall."""
    services = ("10.0.0.50:80", "echo.kubeinfra-verify.svc.cluster.local:80")
    missed = "\n".join(f"missed {node} {target} REFUSED" for node in ("node2", "node1") for target in services)
    (line,) = said(tmp_path, Network(), missed).splitlines()
    assert line.startswith("next: kube-proxy on node2, node1 has not heard of the endpoints of a Service from the API ")
    assert not (tmp_path / "applied").exists()


@pytest.mark.parametrize(
    "missed", ["missed node1 10.0.0.50:80 TIMEOUT", f"missed node2 {POD}:8080 REFUSED", "missed node1 - no kubelet"]
)
def test_machines_are_not_asked_where_pods_of_two_nodes_are_not_concerned(tmp_path: Path, missed: str) -> None:
    assert said(tmp_path, Network(), missed) == ""
    assert not (tmp_path / "applied").exists()
