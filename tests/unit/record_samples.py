"""Records of made-up runs: the guide's six machines, and a large cluster where something went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any

from kubeinfra.controller.records import RunMachine, RunRecord
from kubeinfra.findings import EXPLAINED, Finding

STARTED = datetime(2026, 11, 25, 12, 0, 0, 250_000, tzinfo=UTC)
LAYOUT = {
    "master01": "master etcd",
    "master02": "master",
    "node01": "node etcd",
    "node02": "node etcd",
    "lb01": "lb",
    "lb02": "lb",
}
# Name of a phase, who works in it, how long it takes there at least and at most.
PHASES = [
    ("preflight", "master node etcd lb", 0.6, 1.4),
    ("releases", "master", 9, 9),
    ("operating system", "master node etcd lb", 12, 24),
    ("binaries of etcd and the control plane", "master etcd", 3, 7),
    ("etcd", "etcd", 1.5, 3),
    ("control plane", "master", 2.5, 4),
    ("binaries and images of the nodes", "node", 14, 22),
    ("load balancers", "lb", 4, 6),
    ("container runtime", "node", 11, 19),
    ("etcd is healthy", "etcd", 0.4, 0.5),
    ("images", "node", 4, 7),
    ("control plane is ready", "master", 6, 8),
    ("nodes", "node", 3, 6),
    ("network", "node", 9, 13),
    ("CoreDNS", "master", 7, 7),
    ("verify", "master node etcd lb", 2, 5),
]
WORK = {
    "operating system": ["install packages conntrack curl ipset", "host name bare -> {name}", "write /etc/hosts"],
    "etcd": ["write /opt/etcd/cfg/etcd.conf", "issue /opt/etcd/ssl/server.pem: missing", "start etcd"],
    "control plane": ["write /opt/kubernetes/cfg/audit-policy.yaml", "start kube-apiserver"],
    "load balancers": ["write /etc/keepalived/keepalived.conf (secret)", "start keepalived"],
    "container runtime": ["install packages docker-ce docker-ce-cli containerd.io", "start docker"],
    "nodes": ["write /opt/kubernetes/cfg/kubelet-config.yml with address {address}", "start kubelet"],
}
HEALTH = {
    "master": ["kube-apiserver", "kube-controller-manager", "kube-scheduler"],
    "node": ["node", "pod network", "flannel.1", "kube-proxy"],
    "etcd": ["etcd"],
    "lb": ["nginx", "virtual address"],
}


def machines(layout: dict[str, str]) -> list[RunMachine]:
    members = iter(range(1, 100))
    return [
        RunMachine(
            name=name,
            address=f"192.168.{80 + number // 240}.{10 + number % 240}",
            hostname=name,
            groups=tuple(groups.split()),
            arch="amd64",
            etcd_member=f"etcd{next(members):02}" if "etcd" in groups else "",
        )
        for number, (name, groups) in enumerate(layout.items())
    ]


@dataclass
class _Run:
    """What a run of all phases leaves; the same for the same machines."""

    machines: Sequence[RunMachine]
    now: datetime = STARTED
    random: Random = field(default_factory=lambda: Random(1))
    phases: list[dict[str, Any]] = field(default_factory=list)
    operations: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    restarts: list[dict[str, Any]] = field(default_factory=list)

    def go(self) -> _Run:
        for name, groups, least, most in PHASES:
            spans = {}
            for machine in self.machines:
                if set(groups.split()) & set(machine.groups):
                    seconds = self.random.uniform(least, most)
                    spans[machine.name] = {"began": self.now, "ended": self.now + timedelta(seconds=seconds)}
                    self._work(name, machine, seconds)
            if not spans:
                continue
            ended = max(span["ended"] for span in spans.values()) + timedelta(seconds=0.2)
            self.phases.append({"name": name, "began": self.now, "ended": ended, "machines": spans})
            self.now = ended
        return self

    def _work(self, phase: str, machine: RunMachine, seconds: float) -> None:
        sentences = WORK.get(phase, [])
        for number, sentence in enumerate(sentences):
            at = self.now + timedelta(seconds=seconds * (number + 0.3) / len(sentences))
            said = sentence.format(name=machine.name, address=machine.address)
            self.operations.append(
                {"name": f"{phase} | {said.split(' ')[0]}", "machine": machine.name, "began": at, "outcome": "changed"}
                | {"seconds": seconds * 0.6 / len(sentences)}
            )
            self.changes.append({"machine": machine.name, "sentence": said, "at": at})
            if said.startswith("start "):
                self.restarts.append({"machine": machine.name, "unit": f"{said[6:]}.service", "verb": "start"})


def _health(every: Sequence[RunMachine]) -> Iterator[dict[str, Any]]:
    for machine in every:
        for component in (one for group in machine.groups for one in HEALTH[group]):
            subject = {"etcd": machine.etcd_member, "node": machine.address}.get(component, machine.name)
            detail = {"etcd": "3.4.26 0.2 MB", "node": "Ready v1.20.15 10.244.1.0/24", "flannel.1": "10.244.1.0/32"}
            says = detail.get(component, "ok")
            if component == "virtual address":
                says = "holds it" if machine.name == "lb01" else "stands by"
            yield {"component": component, "subject": subject, "healthy": True, "detail": says}


def _certificates(every: Sequence[RunMachine], years: int = 10) -> Iterator[dict[str, Any]]:
    ends = STARTED + timedelta(days=365 * years)
    for machine in every:
        if "etcd" in machine.groups:
            yield _certificate(machine.name, "/opt/etcd/ssl/server.pem", machine.etcd_member, "etcd-ca", ends)
        if "master" in machine.groups:
            path = "/opt/kubernetes/ssl/kube-apiserver.pem"
            yield _certificate(machine.name, path, "kube-apiserver", "kubernetes-ca", ends)
        if "node" in machine.groups:
            path, name = "/opt/kubernetes/ssl/kubelet-client.pem", f"system:node:{machine.address}"
            yield _certificate(machine.name, path, name, "kubernetes-ca", ends)


def _certificate(machine: str, path: str, subject: str, issuer: str, ends: datetime) -> dict[str, Any]:
    return {"machine": machine, "path": path, "subject": subject, "issuer": issuer, "ends": ends}


def record(layout: dict[str, str] = LAYOUT, **fields: Any) -> RunRecord:
    """A first deploy of these machines, name -> groups, on which all went well."""
    every = machines(layout)
    run = _Run(every).go()
    notes = [
        Finding("kernel modules", machine.name, "note", "the kernel has no module ip_vs", remedy="iptables is used")
        for machine in every
        if "node" in machine.groups
    ]
    return RunRecord.model_validate(
        {
            "cluster": "kubernetes",
            "kubernetes": "1.20.15",
            "endpoint": "192.168.80.100:6443",
            "virtual_address": "192.168.80.100",
            "started": STARTED,
            "ended": run.now,
            "by": "you@controller",
            "commit": "v1.0-12-gfa3be05 + changes",
            "arguments": ["-y", "--ssh-user", "root", "inventory.py", "deploy.py"],
            "result": "succeeded",
            "machines": every,
            "phases": run.phases,
            "operations": run.operations,
            "changes": run.changes,
            "restarts": run.restarts,
            "findings": notes,
            "health": list(_health(every)),
            "certificates": list(_certificates(every)),
            **fields,
        }
    )


@lru_cache
def large(machines: int = 240) -> RunRecord:
    """A cluster of many nodes whose deploy failed on one of them, with certificates near their end."""
    layout = {f"master{number:02}": "master etcd" for number in (1, 2, 3)}
    layout |= {f"lb{number:02}": "lb" for number in (1, 2)}
    layout |= {f"node{number:03}": "node" for number in range(1, machines - 4)}
    whole = record(layout)
    sick = "node117"
    operations = [
        one.model_copy(update={"outcome": "failed"}) if one.machine == sick and "start" in one.name else one
        for one in whole.operations
    ]
    health = [
        one.model_copy(update={"healthy": False, "detail": "no route to host"}) if one.subject == sick else one
        for one in whole.health
    ]
    soon = {"master01": 5, "node005": 20, "node006": -1}
    certificates = [
        one.model_copy(update={"ends": STARTED + timedelta(days=soon[one.machine])}) if one.machine in soon else one
        for one in whole.certificates
    ]
    errors = [
        Finding(
            "clock",
            sick,
            "error",
            "its clock is 300 s behind this controller's",
            "certificates need clocks that agree within 240 s",
            "set the one that is wrong, and see why its time daemon has not",
            EXPLAINED,
        ),
        Finding("etcd members", "", "warning", "group etcd has 2 members", remedy="3 survive the loss of one"),
    ]
    return whole.model_copy(
        update={
            "result": "failed",
            "message": f"{sick}: kubelet.service failed to start\nrun again when `journalctl -u kubelet` is clean",
            "operations": tuple(operations),
            "health": tuple(health),
            "certificates": tuple(certificates),
            "findings": (*whole.findings, *errors),
        }
    )
