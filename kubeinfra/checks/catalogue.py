"""
Preflight's list: every check, in the order in which they are numbered. docs/preflight.md is made from it.

A new check is a function and a line here; its name is what `preflight_ignore` takes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from difflib import get_close_matches
from itertools import chain

from kubeinfra.checks import clones, hardware, leftovers, machine, network, platform
from kubeinfra.checks.base import Check, Seen, each
from kubeinfra.checks.cgroups import cgroups
from kubeinfra.checks.etcd_version import etcd_version
from kubeinfra.checks.firewall import firewall_rules, forward_rules
from kubeinfra.checks.identity import etcd_cluster_findings, identity_findings
from kubeinfra.checks.kube_proxy import kube_proxy_mode
from kubeinfra.checks.listeners import free_ports
from kubeinfra.checks.networks import networks
from kubeinfra.checks.reach import unreached
from kubeinfra.checks.releases import end_of_life, running_release
from kubeinfra.checks.secrets import secret_findings
from kubeinfra.checks.swap import swap
from kubeinfra.checks.trust import trust_findings
from kubeinfra.cluster.cluster import Cluster
from kubeinfra.controller.identity import known
from kubeinfra.findings import Finding, Level


def _cluster(seen: Seen) -> Iterable[Finding]:
    kept = seen.kept
    return identity_findings(kept.identity, known(seen.cluster.machines), kept.identity_path) if kept else []


def _etcd_cluster(seen: Seen) -> Iterator[Finding]:
    if seen.kept and not list(_cluster(seen)):
        for one, found in seen.machines:
            yield from etcd_cluster_findings(one.name, seen.kept.identity, found.etcd_cluster, seen.kept.identity_path)


def _cas(seen: Seen) -> Iterator[Finding]:
    if seen.kept and not list(_cluster(seen)):
        for one, found in seen.machines:
            yield from trust_findings(one.name, found.cas, seen.kept.cas, seen.kept.directory)


def _secrets(seen: Seen) -> Iterator[Finding]:
    if seen.kept and not list(_cluster(seen)):
        for one, found in seen.machines:
            yield from secret_findings(seen.cluster, one, found, seen.kept.secrets, seen.kept.directory)


OF_WHAT_IS_KEPT = (
    Check("cluster", "the controller's directory is of a cluster with other machines", _cluster),
    Check("etcd-cluster", "its etcd is a member of another cluster than the controller's", _etcd_cluster),
    Check("cas", "it trusts another CA than the controller has", _cas),
    Check("secrets", "the controller lacks a secret that the machine has", _secrets),
)
"""Also asked of machines that take no part in a run, before a CA or a secret is created."""

_BOTH: tuple[Level, ...] = ("error", "warning")
_WARNING: tuple[Level, ...] = ("warning",)
CHECKS = (
    Check("root", "commands do not run as root", each(machine.root)),
    Check("architecture", "the machine is neither amd64 nor arm64", each(machine.architecture)),
    Check("systemd", "systemd is not process 1, or older than 219", each(machine.systemd)),
    Check(
        "distribution",
        "it is not in [the table](platforms.md) and no setting says what it is like, or has neither apt-get nor dnf or "
        "yum",
        each(platform.distribution),
    ),
    Check(
        "tools", "a program is missing that looks at the machine, such as `ip`, or is BusyBox's", each(platform.tools)
    ),
    Check("mirrors", "its package mirrors have been shut down", each(platform.mirrors), _WARNING),
    Check("kernel", "its kernel is older than the Kubernetes release needs", each(hardware.kernel)),
    Check(
        "kernel-modules",
        "the kernel of a node has no module br_netfilter; a warning on nodes that serve",
        each(hardware.kernel_modules),
        _BOTH,
    ),
    Check("processors", "it has fewer processors than its groups need", each(hardware.processors), _WARNING),
    Check("memory", "it has less memory than its groups need", each(hardware.memory), _WARNING),
    Check("disk-space", "there is little room for binaries, images or etcd", each(hardware.disk_space), _WARNING),
    Check(
        "etcd-disk-latency",
        "before etcd has data there: 100 synchronous writes to the disk of `/var/lib/etcd`, p99 above 10 ms",
        each(hardware.etcd_disk_latency),
        _WARNING,
    ),
    Check("address", "no interface has the machine's `address`", each(machine.address)),
    Check(
        "clock",
        "it differs from the controller's by more than 240 s; a warning if the deploy sets up chrony there",
        each(machine.clock),
        _BOTH,
    ),
    Check(
        "time-daemon",
        "a time daemon is installed that does not run, and chrony cannot come while it is there",
        each(machine.time_daemon),
    ),
    Check("clock-skew", "it differs from that of the other machines by more than 5 s", machine.clock_skew, _WARNING),
    Check("unique-machine-id", "two machines have the same `/etc/machine-id`", clones.machine_ids),
    Check("unique-mac", "two machines have the same MAC address", clones.mac_addresses),
    Check("unique-product-uuid", "two machines have the same product_uuid", clones.product_uuids, _WARNING),
    Check("unique-host-keys", "two machines have the same ssh host key", clones.host_keys, _WARNING),
    Check(
        "kubelet-certificate",
        "its kubelet has the certificate of another node, from which it was cloned",
        each(clones.kubelet_certificates),
    ),
    Check(
        "networks",
        "`service_cidr` or `cluster_cidr` overlaps a network of a machine, or a route, name server, time server, proxy "
        "or ssh client of a node; once the cluster runs, a warning, but for new nodes",
        networks,
        _BOTH,
    ),
    Check(
        "ssh-over-ipv6", "the run comes in over IPv6, which `disable_ipv6` switches off", each(network.ssh_over_ipv6)
    ),
    Check(
        "default-route",
        "no route leads to Services, and kube-proxy is in iptables or nftables mode",
        each(network.default_route),
    ),
    Check("mtu", "its MTU is not that of most machines", network.mtu, _WARNING),
    Check(
        "firewall-rules",
        "rules of nftables or iptables drop what the table of ports needs, or on a node the packets of pods",
        lambda seen: chain(firewall_rules(seen), each(forward_rules)(seen)),
    ),
    Check(
        "reachability",
        "it does not reach a port of the table where a component of ours listens already; a warning on machines that "
        "serve. Only tcp: udp does not say whether it has arrived, and the traffic check tells",
        unreached,
        _BOTH,
    ),
    Check("free-ports", "a port that a component needs is taken by another process", each(free_ports)),
    Check("name-servers", "pods could reach none of `/etc/resolv.conf`", each(machine.name_servers)),
    Check(
        "container-runtime",
        "Docker or containerd does not go with the release, cannot be had, is not the one that runs the node's pods, "
        "would take the place of one that has containers, has our keys in its command line, or meets packages or a "
        "disk that do not go with it",
        each(machine.container_runtime),
    ),
    Check(
        "cgroups",
        "it has cgroup v2, on which this release's kubelet does not see the node's memory; a note if it has v1, and "
        "1.35 or newer",
        each(cgroups),
        ("warning", "note"),
    ),
    Check("swap", "pods are to have swap, and it has cgroup v1", each(swap)),
    Check(
        "running-release",
        "an API server or a kubelet of another minor than `kubernetes_version` runs; a note if its patch is newer",
        each(running_release),
        ("error", "note"),
    ),
    Check("end-of-life", "upstream no longer supports the Kubernetes minor", end_of_life, ("note",)),
    Check(
        "etcd-data", "there is data of another etcd; a warning where ours is not affected", leftovers.etcd_data, _BOTH
    ),
    Check(
        "etcd-version",
        "its etcd would go back by a minor release, or up by more than one",
        each(etcd_version),
    ),
    Check(
        "unit-drop-ins",
        "a drop-in of others changes one of our units; a warning on machines that serve",
        each(leftovers.drop_ins),
        _BOTH,
    ),
    Check(
        "cni-configuration",
        "a file of another CNI plugin comes before ours, a warning on nodes that serve; a note if it comes after it",
        each(leftovers.cni_configuration),
        ("error", "warning", "note"),
    ),
    Check("other-clusters", "another kubelet, k3s, etcd or the like runs", each(leftovers.other_clusters), _BOTH),
    Check("left-over-interfaces", "there are interfaces of another cluster", each(leftovers.interfaces), _BOTH),
    Check("left-over-files", "there are certificates or data of another cluster", each(leftovers.files), _WARNING),
    Check("left-over-mounts", "there are mounts of another cluster", each(leftovers.mounts), _BOTH),
    Check("left-over-rules", "there are iptables chains of another cluster", each(leftovers.chains), _BOTH),
    *OF_WHAT_IS_KEPT,
    Check(
        "kube-proxy-mode",
        "kube-proxy would not start in the mode of `kube_proxy_mode`; without that setting, a note where a node cannot "
        "have the mode that is best in this release",
        each(kube_proxy_mode),
        ("error", "note"),
    ),
    Check("not-asked", "something that other checks look at could not be asked", each(machine.not_asked), ("note",)),
)
"""All of them; the number of a check is its place."""

NUMBERS = {check.name: number for number, check in enumerate(CHECKS, 1)}


def findings(seen: Seen, checks: Iterable[Check] = CHECKS, ignored: Collection[str] = ()) -> list[Finding]:
    """
    What these checks find, in their order, each with the name of its check.

    + ignored: names of checks whose warnings and notes are left out; errors never are
    """
    found = (replace(one, check=check.name) for check in checks for one in check.find(seen))
    return [one for one in found if one.level == "error" or one.check not in ignored]


def ignored_checks_exist(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    """Names in `preflight_ignore` that are no check's, or of one that knows errors only."""
    by_name = {check.name: check for check in CHECKS}
    for name in cluster.settings.preflight_ignore:
        if name not in by_name:
            close = get_close_matches(name, by_name, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "docs/preflight.md lists every check"
            yield f"{where('preflight_ignore')}: preflight_ignore has {name!r}, which is no check; {hint}"
        elif by_name[name].levels == ("error",):
            yield (
                f"{where('preflight_ignore')}: preflight_ignore has {name!r}, whose findings are errors, which cannot "
                "be ignored; take it out"
            )
