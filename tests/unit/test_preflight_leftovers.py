"""
What another cluster has left, clones of nodes, packets of pods and ports of others, as preflight sees them: of each
state the reported input and two more, and what is well. Rows as in test_preflight_states.py.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timedelta
from typing import Any

import pytest
from cluster_samples import cluster, entry
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from survey_samples import ACCEPT, CNI0, ESTABLISHED, ETH0, State, assert_told, machine, machines, nft, told

from kubeinfra.checks.base import Seen
from kubeinfra.checks.catalogue import findings

FORWARD_REJECT = "-A FORWARD -j REJECT --reject-with icmp-host-prohibited"
PODS = "packets from its pods to other nodes, from other nodes to its pods, from its pods to other networks"
FLANNEL_FWD = 'iptables-save -A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD'
ETCD_OF_N1 = (
    'listen tcp 192.168.80.11:2379 users:(("etcd",pid=5,fd=9))',
    "process 5|/opt/etcd/bin/etcd|/system.slice/etcd.service|etcd",
)
JOINED = {"cas": {"kubernetes": "", "etcd": ""}}


def of(name: str) -> str:
    """The survey's line of a kubelet's certificate."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime(2026, 1, 1)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 7, now, now + timedelta(days=1))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return f"kubelet-certificate {b64encode(pem).decode()}"


STATES: dict[str, State] = {
    # 6. Rules in the way of pods' packets
    "6: the REJECT that EL puts into FORWARD": State(
        {"n1": ["iptables-save :FORWARD DROP [0:0]", f"iptables-save {FORWARD_REJECT}", FLANNEL_FWD]},
        [f"n1: its firewall drops {PODS} (iptables {FORWARD_REJECT}); let cluster_cidr 10.244.0.0/16 pass there"],
    ),
    "6 (own): a table of nftables that passes on nothing": State(
        {"n2": [nft(hook="forward")]}, [f"n2: its firewall drops {PODS} (nft chain inet mine in: policy drop); let"]
    ),
    "6 (own): nothing leaves but by one interface": State(
        {"n1": ["iptables-save :FORWARD ACCEPT [0:0]", "iptables-save -A FORWARD ! -o cni0 -p udp -j DROP"]},
        [
            "n1: its firewall drops packets from its pods to other nodes, from its pods to other networks (iptables -A "
            "FORWARD ! -o cni0 -p udp -j DROP)"
        ],
    ),
    # 20. What another cluster left
    "20: certificates of kubeadm": State(
        {"m1": ["left-file /etc/kubernetes/pki", "left-file /etc/kubernetes/admin.conf"]},
        [
            "m1: there are files of another cluster: /etc/kubernetes/pki (kubeadm), /etc/kubernetes/admin.conf "
            "(kubeadm); nothing here uses them"
        ],
        "warning",
    ),
    "20 (own): k3s, rke2 and k0s": State(
        {"n1": ["left-file /var/lib/rancher/k3s", "left-file /var/lib/rancher/rke2", "left-file /var/lib/k0s"]},
        ["n1: there are files of another cluster: /var/lib/rancher/k3s (k3s), /var/lib/rancher/rke2 (rke2), /var/l"],
        "warning",
    ),
    "20: mounts of pods that are no more": State(
        {"n2": ["mounts /var/lib/kubelet 12"]},
        ["n2: there are mounts of another cluster: 12 at /var/lib/kubelet (kubeadm); remove what made it, and reboot"],
    ),
    "20 (own): mounts elsewhere, which are in nobody's way": State(
        {"m1": ["mounts /var/lib/kubelet 2", "mounts /run/k3s 4"], "n1": ["mounts /run/cilium 1"]},
        [
            "m1: there are mounts of another cluster: 4 at /run/k3s (k3s), 2 at /var/lib/kubelet (kubeadm); remove",
            "n1: there are mounts of another cluster: 1 at /run/cilium (cilium)",
        ],
        "warning",
    ),
    "20: chains of another kube-proxy and of calico": State(
        {"n1": ["chains KUBE- 87", "chains cali- 30"]},
        ["n1: there are iptables chains of another cluster: 87 at KUBE- (kube-proxy), 30 at cali- (calico); remove"],
        "warning",
    ),
    "20 (own): chains of cilium, which are about all packets": State(
        {"n2": ["chains CILIUM_ 9"]}, ["n2: there are iptables chains of another cluster: 9 at CILIUM_ (cilium)"]
    ),
    "20 (own): weave's, on a node that serves": State(
        {"n1": ["chains KUBE- 87", "chains FLANNEL 2", "chains WEAVE 5", "mounts /var/lib/kubelet 9"]},
        ["n1: there are iptables chains of another cluster: 5 at WEAVE (weave); remove"],
        "warning",
        seen=JOINED,
    ),
    # 21. Clones of nodes
    "21: a clone of a node": State(
        {"n2": [of("system:node:192.168.80.11")]},
        [
            "n2: its kubelet's certificate, /opt/kubernetes/ssl/kubelet-client-current.pem, is that of system:node:192."
            "168.80.11; this is to be system:node:192.168.80.12: if it was cloned"
        ],
    ),
    "21 (own): one that takes part in the cluster already": State(
        {"n1": [of("system:node:192.168.80.99")]},
        ["n1: its kubelet's certificate, /opt/kubernetes/ssl/kubelet-client-current.pem, is that of system:node:192."],
        seen=JOINED,
    ),
    "21 (own): of an installation that named nodes after their hosts": State(
        {"n1": [of("system:node:worker-1")], "n2": [of("system:node:worker-1")]},
        [f"n{number}: its kubelet's certificate, /opt/kubernetes/ssl/kubelet-client-c" for number in (1, 2)],
    ),
    # Ports of others where something listens already
    "etcd that a new member does not reach": State(
        {"n1": ETCD_OF_N1, "n2": ["reach asked"], "m1": ["reach asked", "reached 192.168.80.11:2379"]},
        ["n2: it does not reach tcp 2379 of n1, where our component listens; let it pass (README, the table of port"],
    ),
    "etcd that listens on all addresses, as iproute 4.11 writes it": State(
        {
            "n1": ['listen tcp :::2379 users:(("etcd",pid=5,fd=9))', *ETCD_OF_N1[1:]],
            "n2": ["reach asked"],
            "m1": ["reach asked", "reached 192.168.80.11:2379"],
        },
        ["n2: it does not reach tcp 2379 of n1, where our component listens; let it pass (README, the table of port"],
    ),
    "etcd that a member does not reach that serves": State(
        {
            "n1": [*ETCD_OF_N1, "reach asked"],
            "m1": ["reach asked"],
            "n2": ["reach asked", "reached 192.168.80.11:2379"],
        },
        ["m1: it does not reach tcp 2379 of n1, where our component listens"],
        "warning",
        seen=JOINED,
    ),
    "a firewall that the deploy switches off": State(
        {"n1": [*ETCD_OF_N1, "firewall ufw"], "n2": ["reach asked"]},
        ["n2: it does not reach tcp 2379 of n1, where our component listens"],
        "warning",
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_is_told(name: str) -> None:
    assert_told(STATES[name])


WELL = {
    "Docker's policy, and rules after flannel's": State(
        {"n1": ["iptables-save :FORWARD DROP [0:0]", FLANNEL_FWD, f"iptables-save {FORWARD_REJECT}"]}, []
    ),
    "the policy that Docker sets before there is any flannel": State({"n2": ["iptables-save :FORWARD DROP [0:0]"]}, []),
    "a REJECT in FORWARD where no pods are": State({"m1": [f"iptables-save {FORWARD_REJECT}"]}, []),
    "nftables that pass on what comes from pods and to them": State(
        {"n1": [nft([ACCEPT], hook="forward"), nft([ETH0, ACCEPT])]}, []
    ),
    "our own": State(
        {
            "n1": ["chains KUBE- 87", "chains FLANNEL 2", "mounts /var/lib/kubelet 9", of("system:node:192.168.80.11")],
            "n2": ["kubelet-certificate bm90IGEgY2VydGlmaWNhdGU="],
        },
        [],
        seen=JOINED,
    ),
    "what listens for the machine itself, and what is somebody else's": State(
        {
            "n1": [ETCD_OF_N1[0].replace("192.168.80.11", "127.0.0.1"), ETCD_OF_N1[1]],
            "n2": ["reach asked"],
            "m1": ['listen tcp *:2381 users:(("sshd",pid=7,fd=9))', "process 7|/usr/sbin/sshd|/|sshd"],
        },
        [],
        seen=JOINED,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WELL)
def test_what_is_well_is_not_told(name: str) -> None:
    assert [one for one in told(WELL[name], machines(WELL[name])) if "2381" not in one[0]] == []


def test_a_clone_is_found_whether_or_not_the_others_are_asked() -> None:
    alone = machine("n2", [of("system:node:192.168.80.11")], ())
    ((_, level),) = told(State({}, []), {"n2": alone})
    assert level == "error"


def test_the_pods_of_a_master_must_reach_its_api_server() -> None:
    found = cluster([entry("m1", "192.168.80.10", "master etcd node")], kube_proxy_mode="iptables")

    def sentences(*rules: Any) -> list[str]:
        seen = Seen(found, {"m1": machine("m1", [nft([ESTABLISHED, ACCEPT], *rules)], ())})
        return [one.sentence() for one in findings(seen) if one.check == "firewall-rules"]

    (told,) = sentences([ETH0, ACCEPT])
    assert told.startswith(
        "m1: its firewall drops packets from its own pods to its API server (tcp 6443) (nft chain inet mine in: policy "
        "drop); let cluster_cidr 10.244.0.0/16 in there"
    )
    assert not sentences([CNI0, ACCEPT], [ETH0, ACCEPT])
