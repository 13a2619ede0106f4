"""
States that machines are in, as preflight sees them: of each kind the reported input and two more, and what is well.

Each row is what the machines answer, in the survey's own lines, and the sentences that are told.
"""

from __future__ import annotations

from base64 import b64encode

import pytest
from cluster_samples import cluster
from survey_samples import (
    ACCEPT,
    BLACKHOLE,
    CNI0,
    DATA,
    EL_REJECT,
    ESTABLISHED,
    ETH0,
    HOME,
    HTTP_PROXY,
    LAN,
    NEEDED_BY_A_NODE,
    WAL,
    State,
    assert_told,
    dport,
    machine,
    machines,
    nft,
    told,
)

from kubeinfra.checks.base import Seen
from kubeinfra.checks.catalogue import findings
from kubeinfra.cluster.settings import Settings
from kubeinfra.machine.survey import survey

CONTAINERDS = "/etc/systemd/system/containerd.service.d"
STATES: dict[str, State] = {
    # 1. Addresses that the machines need themselves
    "1: the name server of a VPC is the default dns_address": State(
        {"n1": ["nameserver 10.0.0.2"]},
        ['n1: service_cidr 10.0.0.0/24 (the default) overlaps its name server 10.0.0.2; set service_cidr = "10.96.0'],
    ),
    "1: a router that is Service kubernetes": State(
        {"n1": ["route default via 10.0.0.1 dev eth0"]},
        ["n1: service_cidr 10.0.0.0/24 (the default) overlaps its router 10.0.0.1; set"],
    ),
    "1: a second interface in the network of Services": State(
        {},
        ["n1: service_cidr 10.0.0.0/24 (the default) overlaps its network 10.0.0.0/24 (eth1); set"],
        has={"n1": ["eth1 10.0.0.5/24"]},
    ),
    "1: a second interface in the network of pods": State(
        {},
        ["n2: cluster_cidr 10.244.0.0/16 (the default) overlaps its network 10.244.0.0/16 (eth1); set cluster_cidr"],
        has={"n2": ["eth1 10.244.7.9/16"]},
    ),
    "1 (own): a route into a VPN, and a proxy and a time server": State(
        {"n2": ["route 10.244.0.0/14 via 192.168.80.2 dev eth0", HTTP_PROXY, "time-server 10.0.0.9"]},
        [
            "n2: service_cidr 10.0.0.0/24 (the default) overlaps its time server 10.0.0.9, its proxy 10.0.0.7; set",
            'n2: cluster_cidr 10.244.0.0/16 (the default) overlaps its route to 10.244.0.0/14; set cluster_cidr = "1',
        ],
    ),
    "1 (own): what images come through": State(
        {},
        [
            f"{name}: service_cidr 10.0.0.0/24 (the default) overlaps its proxy 10.0.0.7, its registry mirror 10.0.0.8"
            for name in ("n1", "n2")
        ],
        settings={
            "runtime_proxy": {"https_proxy": "http://me:pw@10.0.0.7:3128"},
            "registry_mirrors": ["http://10.0.0.8:5000"],
        },
    ),
    "1 (own): the controller itself is in a network that was chosen": State(
        {name: ["ssh 172.20.3.4 50000 192.168.80.10 22"] for name in HOME},
        [
            f"{name}: cluster_cidr 172.20.0.0/16 overlaps its ssh client, this controller or a jump host 172.20.3.4; "
            for name in ("n1", "n2")
        ],
        settings={"cluster_cidr": "172.20.0.0/16"},
    ),
    # 3. ssh over IPv6
    "3: connected by a global address": State(
        {"m1": ["ssh 2001:db8::1 50000 2001:db8::10 22"]},
        ["m1: this run reaches it over IPv6 (from 2001:db8::1), which disable_ipv6 switches off; set disable_ipv6 "],
    ),
    "3 (own): by a link-local address": State(
        {"n1": ["ssh fe80::1%eth0 50000 fe80::2%eth0 22"]}, ["n1: this run reaches it over IPv6 (from fe80::1), which"]
    ),
    "3 (own): switched off by extra_sysctls only": State(
        {"n2": ["ssh 2001:db8::1 5 2001:db8::12 22"]},
        ["n2: this run reaches it over IPv6"],
        settings={"disable_ipv6": False, "extra_sysctls": {"net.ipv6.conf.all.disable_ipv6": 1}},
    ),
    # 5. No default route
    "5: no route at all but its own network": State(
        {"n1": ["!route default"]},
        ["n1: it has no route to service_cidr 10.0.0.0/24, and no default route; without ipvs flannel"],
        settings={"kube_proxy_mode": "iptables"},
    ),
    "5 (own): a kernel without ip_vs, with which kube-proxy falls back from ipvs": State(
        {"n1": ["!route default", "ip-vs no"], "n2": ["!route default", "ip-vs yes"]},
        ["n1: it has no route to service_cidr 10.0.0.0/24, and no default route; without ipvs"],
    ),
    "5 (own): routes to other private networks only": State(
        {"n1": ["!route default", "route 172.16.0.0/12 via 192.168.80.1 dev eth0"]},
        ["n1: it has no route to service_cidr 10.0.0.0/24"],
        settings={"kube_proxy_mode": "iptables"},
    ),
    "5 (own): a route to half of the Services": State(
        {"n1": ["!route default", "route 10.96.0.0/13 via 192.168.80.1 dev eth0"]},
        ["n1: service_cidr 10.96.0.0/12 overlaps its route", "n1: it has no route to service_cidr 10.96.0.0/12"],
        settings={"kube_proxy_mode": "iptables", "service_cidr": "10.96.0.0/12", "dns_address": "10.96.0.10"},
    ),
    "5 (own): a default that leads nowhere": State(
        {"n1": ["!route default", "route unreachable default metric 4278198272"], "n2": ["!route default", BLACKHOLE]},
        [
            "n1: it has no route to service_cidr 10.0.0.0/24, and no default route",
            "n2: it has no route to service_cidr 10.0.0.0/24, and no default route",
        ],
        settings={"kube_proxy_mode": "iptables"},
    ),
    "a kernel whose further modules are a package of their own": State(
        {"n1": ["br-netfilter no"], "m1": ["br-netfilter no"]},
        ["n1: its kernel, 5.10.0-30-amd64, has no module br_netfilter, pods reach no Service without it; install"],
    ),
    # 6. A firewall that is neither firewalld nor ufw
    "6: a cloud image's REJECT": State(
        {"n1": EL_REJECT},
        [f"n1: its firewall drops {NEEDED_BY_A_NODE} (iptables -A INPUT -j REJECT --reject-with icmp-host-prohibit"],
    ),
    "6 (own): the same where ufw, which is to be switched off, runs too": State(
        {"n1": ["firewall ufw", *EL_REJECT, "iptables-save -A INPUT -j ufw-user-input"]},
        [f"n1: its firewall drops {NEEDED_BY_A_NODE} (iptables -A INPUT -j REJECT --reject-with icmp-host-prohibit"],
    ),
    "6 (own): nftables.service that drops all but ssh": State(
        {"n2": [nft([ESTABLISHED, ACCEPT], [dport(22), ACCEPT])]},
        [f"n2: its firewall drops {NEEDED_BY_A_NODE} (nft chain inet mine in: policy drop); let"],
    ),
    "6 (own): a rule for one port": State(
        {
            "n1": [
                "iptables-legacy-save :INPUT ACCEPT [0:0]",
                "iptables-legacy-save :guard - [0:0]",
                "iptables-legacy-save -A INPUT -i eth0 -p udp -j guard",
                "iptables-legacy-save -A guard -s 10.9.0.0/16 -j RETURN",
                "iptables-legacy-save -A guard -p udp -m multiport --dports 53,8000:9000 -j DROP",
            ]
        },
        ["n1: its firewall drops udp 8472 from nodes (iptables -A guard -p udp -m multiport --dports 53,8000:9000 "],
    ),
    "6 (own): rules that let in the other machines, and not the machine's own pods": State(
        {"n1": [*EL_REJECT[:5], LAN, EL_REJECT[5], "ip-vs yes"]},
        ["n1: its firewall drops packets from its own pods to Services (iptables -A INPUT -j REJECT --reject-with icm"],
    ),
    # 18. etcd's data of another cluster
    "18: data without any CA": State(
        {"m1": [f"etcd-data {DATA} 259200 {WAL}"]},
        [f"m1: {DATA} has data of another etcd, of cluster cdf818194e3a8c32, last written 3 days ago; it has no CA"],
    ),
    "18 (own): data whose log is damaged": State(
        {"n2": [f"etcd-data {DATA} 59 {b64encode(b'not a log at all').decode()}"]},
        [f"n2: {DATA} has data of another etcd, of a cluster whose id cannot be read, last written 59 s ago; it has"],
    ),
    "18 (own): kubeadm's, where ours are not": State(
        {"n1": ["etcd-data /var/lib/etcd 7300"]},
        ["n1: /var/lib/etcd has data of another etcd, of a cluster whose id cannot be read, last written 2 hours a"],
        "warning",
    ),
    # 19. Drop-ins of our units
    "19: kubeadm's": State(
        {"n1": ["drop-in /etc/systemd/system/kubelet.service.d/10-kubeadm.conf Environment EnvironmentFile ExecStart"]},
        ["n1: /etc/systemd/system/kubelet.service.d/10-kubeadm.conf sets EnvironmentFile, ExecStart of kubelet.ser"],
    ),
    "19 (own): a package's, for etcd": State(
        {"m1": ["drop-in /usr/lib/systemd/system/etcd.service.d/user.conf User"]},
        ["m1: /usr/lib/systemd/system/etcd.service.d/user.conf sets User of etcd.service, a unit of this deploy; r"],
    ),
    "19 (own): another program for the containerd of ours": State(
        {
            "n1": [f"drop-in {CONTAINERDS}/override.conf ExecStart", f"drop-in {CONTAINERDS}/kubeinfra.conf ExecStart"],
            "m1": [f"drop-in {CONTAINERDS}/override.conf ExecStart"],
        },
        [f"n1: {CONTAINERDS}/override.conf sets ExecStart of containerd.service, a unit of this deploy; r"],
        settings={"container_runtime": "containerd"},
    ),
    "19 (own): limits, which may be meant": State(
        {"n2": ["drop-in /etc/systemd/system/kube-proxy.service.d/limits.conf LimitNOFILE"]},
        ["n2: /etc/systemd/system/kube-proxy.service.d/limits.conf sets LimitNOFILE of kube-proxy.service, a unit of"],
        "warning",
    ),
    # 20. What another cluster left
    "20: another CNI plugin's file comes first": State(
        {"n1": ["cni 05-cilium.conflist", "cni 10-flannel.conflist"]},
        ["n1: /etc/cni/net.d/05-cilium.conflist of another CNI plugin comes before 10-flannel.conflist, and the ku"],
    ),
    "20 (own): calico's 10-calico sorts before 10-flannel": State(
        {"n2": ["cni 10-calico.conflist"]}, ["n2: /etc/cni/net.d/10-calico.conflist of another CNI plugin comes before"]
    ),
    "20 (own): one that comes after ours": State(
        {"n2": ["cni 87-podman-bridge.conflist"]},
        ["n2: /etc/cni/net.d/87-podman-bridge.conflist of another CNI plugin comes after 10-flannel.conflist; it i"],
        "note",
    ),
    "20: k3s, which also holds a port of ours": State(
        {
            "n1": [
                'listen tcp *:10250 users:(("k3s-agent",pid=77,fd=9))',
                "process 77|/usr/local/bin/k3s|/system.slice/k3s-agent.service|k3s-agent",
            ]
        },
        [
            "n1: tcp 10250, which kubelet needs, is taken by k3s-agent (process 77, /usr/local/bin/k3s, k3s-agent.se",
            "n1: another k3s-agent runs (/usr/local/bin/k3s, k3s-agent.service); systemctl disable k3s-agent.servic",
        ],
    ),
    "20 (own): another etcd, for clients of its own": State(
        {
            "m1": [
                'listen tcp 127.0.0.1:2379 users:(("etcd",pid=9,fd=7))',
                "process 9|/usr/bin/etcd|/system.slice/etcd.service|etcd",
            ]
        },
        [
            "m1: tcp 2379, which etcd needs, is taken by etcd (process 9, /usr/bin/etcd, etcd.service)",
            "m1: another etcd runs",
        ],
    ),
    "20 (own): VXLAN of another plugin, and interfaces": State(
        {
            "n2": [
                "listen udp 0.0.0.0:8472 -",
                "link cilium_vxlan 1450 52:54:00:00:01:01",
                "link cni0 1450 52:54:00:00:01:02",
            ]
        },
        [
            "n2: udp 8472, which flannel needs, is taken by the kernel",
            "n2: interface cilium_vxlan is left over from another cluster; ip link delete cilium_vxlan",
            "n2: interface cni0 is left over from another cluster",
        ],
    ),
    # 21. Clones
    "21: equal machine-id": State(
        {"n1": ["machine-id 0123"], "n2": ["machine-id 0123"], "m1": ["machine-id 4567"]},
        [
            f"{name}: machine-id 0123 is that of n1 and n2; each machine needs its own: rm /etc/machine-id"
            for name in ("n1", "n2")
        ],
    ),
    "21 (own): equal MAC addresses": State(
        {"m1": ["link eth0 1500 52:54:00:AA:00:01"], "n2": ["link eth0 1500 52:54:00:aa:00:01"]},
        [f"{name}: MAC address 52:54:00:aa:00:01 is that of m1 and n2; each" for name in ("m1", "n2")],
    ),
    "21 (own): all three with one product_uuid and one ssh host key": State(
        {name: ["product-uuid AB-CD", "host-key 11", f"host-key 2{name}"] for name in HOME},
        [
            *(f"{name}: product_uuid ab-cd is that of m1, n1 and n2; each" for name in HOME),
            *(f"{name}: an ssh host key is that of m1, n1 and n2; each" for name in HOME),
        ],
        "warning",
    ),
    # The machine itself
    "a kernel that is too old": State(
        {"n1": ["kernel 2.6.32-754.el6.x86_64"]},
        ["n1: its kernel is 2.6.32-754.el6.x86_64, Kubernetes 1.20.15 needs 3.10"],
    ),
    "a small machine": State(
        {"m1": ["cpus 1", "memory 1000000", "disk /var/lib/etcd 1048576"]},
        [
            "m1: it has 1 processor, 2 or more are better for etcd and master; give it more, or fewer parts",
            "m1: it has 976 MiB of memory, 1700 MiB or more are better for etcd and master",
            "m1: 1.0 GiB are free for /var/lib/etcd, 2 GiB or more are better; make room, or mount a disk there",
        ],
        "warning",
    ),
    "a slow disk under etcd": State(
        {"n1": [f"fsync {' '.join(['0.001'] * 98 + ['0.012', '0.5'])}"]},
        ["n1: a write to the disk of /var/lib/etcd takes up to 12 ms (p99 of 100); etcd wants less than 10 ms"],
        "warning",
    ),
    "what could not be asked": State(
        {"n1": ["unasked ports", "unasked nft-table inet mine"], "m1": ["unasked routes", "!route default"]},
        [
            "m1: it could not be asked for its routes; these are not checked: install iproute2 (iproute on RHEL), whi",
            "n1: it could not be asked for which ports are taken; these are not checked: install iproute2",
            "n1: it could not be asked for rules of nftables (inet mine); these are not checked: look yourself: nft l",
        ],
        "note",
        settings={"kube_proxy_mode": "iptables"},
    ),
    "another MTU": State(
        {"n2": ["link eth0 9000 52:54:00:00:00:12"]},
        ["n2: eth0 has MTU 9000, 2 other machines have 1500; give"],
        "warning",
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_is_told(name: str) -> None:
    assert_told(STATES[name])


WELL: dict[str, State] = {
    "nothing special": State({}, []),
    "a covering route is enough for Services": State(
        {"n1": ["!route default", "route 10.0.0.0/8 via 192.168.80.1 dev eth0"]},
        ["n1: service_cidr", "n1: cluster_cidr"],
        settings={"kube_proxy_mode": "iptables"},
    ),
    "rules that let in what is needed": State(
        {
            "n1": [*EL_REJECT[:5], LAN, EL_REJECT[5]],
            "n2": [nft([ETH0, ACCEPT], [CNI0, ACCEPT]), "ip-vs yes"],
        },
        [],
    ),
    "a set that is not known may let it in": State(
        {
            "n1": [
                ":INPUT",
                "iptables-save :INPUT DROP [0:0]",
                "iptables-save -A INPUT -m set --match-set k8s src -j ACCEPT",
            ]
        },
        [],
    ),
    "ufw's rules go with ufw": State(
        {
            "n1": [
                "firewall ufw",
                "iptables-save :INPUT DROP [0:0]",
                "iptables-save :ufw-user-input - [0:0]",
                "iptables-save :ufw-reject-input - [0:0]",
                "iptables-save -A INPUT -j ufw-user-input",
                "iptables-save -A INPUT -j ufw-reject-input",
                "iptables-save -A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT",
                "iptables-save -A ufw-reject-input -j REJECT --reject-with icmp-port-unreachable",
            ]
        },
        [],
    ),
    "a drop-in of a containerd that is the distribution's": State(
        {"n1": [f"drop-in {CONTAINERDS}/override.conf ExecStart"]},
        [],
        settings={"container_runtime": "containerd", "containerd_source": "distribution"},
    ),
    "firewalld's rules go with firewalld": State({"n1": ["firewall firewalld", *EL_REJECT]}, []),
    "IPv4 that is written as IPv6, and IPv6 that stays": State(
        {"n1": ["ssh ::ffff:192.168.90.1 5 ::ffff:192.168.80.11 22"], "n2": ["ssh 2001:db8::1 5 2001:db8::2 22"]},
        [],
        settings={"disable_ipv6": True},
    ),
    "a pod that is an etcd of somebody's": State(
        {"n1": ["process 9|/usr/bin/etcd|/kubepods.slice/kubepods-pod1.slice/docker-1.scope|etcd"]}, []
    ),
    "our own components hold our ports": State(
        {
            "n1": [
                'listen tcp *:10250 users:(("kubelet",pid=5,fd=9))',
                "process 5|/opt/kubernetes/bin/kubelet (deleted)|/system.slice/kubelet.service|kubelet",
                "listen udp 0.0.0.0:8472 -",
                "link flannel.1 1450 52:54:00:00:01:01",
                "link cni0 1450 52:54:00:00:01:02",
                "route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
                "route 10.244.3.0/24 via 192.168.80.12 dev eth0",
                f"etcd-data {DATA} 1 {WAL}",
                f"etcd-data {DATA}.before-restore-2026 1 {WAL}",
            ]
        },
        [],
        has={"n1": ["flannel.1 10.244.1.0/32", "cni0 10.244.1.1/24", "kube-ipvs0 10.0.0.1/32"]},
        seen={"cas": {"kubernetes": "", "etcd": ""}},
    ),
    "a fast disk": State({"n1": [f"fsync {' '.join(['0.001'] * 99 + ['0.5'])}"]}, []),
    "containers of one host share its product_uuid": State(
        {name: ["product-uuid AB-CD"] for name in HOME}, [], seen={"container": True}
    ),
}


@pytest.mark.parametrize("name", [name for name, state in WELL.items() if not state.told])
def test_what_is_well_is_not_told(name: str) -> None:
    state = WELL[name]
    found = told(state, machines(state))
    assert [one for one in found if "over IPv6" not in one[0]] == []


def test_the_networks_of_a_running_cluster_are_a_warning() -> None:
    """They cannot be changed any more; a run that repairs something must not be refused."""
    set_up = machine("n1", ["nameserver 10.0.0.2"], (), cas={"kubernetes": ""})
    ((sentence, level),) = told(State({}, []), {"n1": set_up})
    assert level == "warning"
    assert "the networks of a running cluster stay" in sentence


def test_the_network_that_is_proposed_is_free_on_all_machines() -> None:
    """Also on those that have nothing to do with the one that is refused."""
    busy = machine("n1", ["nameserver 10.0.0.2"], ["eth1 10.96.0.0/11"])
    other = machine("n2", [], ["eth1 10.128.0.1/9"])
    (_, _), *_ = found = told(State({}, []), {"n1": busy, "n2": other})
    assert 'set service_cidr = "10.0.1.0/24", and dns_address = "10.0.1.2"' in found[0][0]


def test_warnings_are_ignored_by_name_and_errors_are_not() -> None:
    slow = machine("n1", [f"fsync {'0.1 ' * 30}", "nameserver 10.0.0.2"], ())
    seen = Seen(cluster(), {"n1": slow})
    assert [one.check for one in findings(seen)] == ["etcd-disk-latency", "networks"]
    assert [one.check for one in findings(seen, ignored=["etcd-disk-latency", "networks"])] == ["networks"]
    assert Settings().preflight_ignore == []


def test_foreign_lines_do_not_matter() -> None:
    noise = [
        "Welcome to m1!",
        "",
        "survey",
        "kernel 1.0",
        " survey kernel 1.0",
        "survey kernel 5.10.0",
        "last login: 1",
    ]
    assert survey(noise).kernel == "5.10.0"


@pytest.mark.parametrize(
    ("ahead", "sentence"),
    [
        ({"m1": 0.0, "n1": 0.0, "n2": 30.0}, "n2: its clock is 30 s ahead of that of the other machines; leases"),
        ({"m1": -90.0, "n1": -100.0, "n2": -90.0}, "n1: its clock is 10 s behind that of the other machines; leases"),
        ({"m1": -6.0, "n1": 0.4, "n2": 0.0}, "m1: its clock is 6 s behind that of the other machines; leases"),
    ],
)
def test_a_clock_that_differs_from_the_others_is_told(ahead: dict[str, float], sentence: str) -> None:
    """Where each machine by itself is near enough to the controller's."""
    ((found, level),) = told(
        State({}, []), {name: machine(name, [], (), clock_ahead=off) for name, off in ahead.items()}
    )
    assert found.startswith(sentence)
    assert level == "warning"
