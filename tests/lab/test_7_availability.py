"""No single machine matters: what breaks, how long the API is away at its virtual address, what is left of writes."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from availability import Requests, Writes, https
from invocation import Invocation
from laboratory import Lab, until
from observe import lost_leases, processes, restarted, started_again, starts

NAMESPACE = "written-through-the-virtual-address"


@dataclass(frozen=True)
class Fault:
    """Something that breaks on a machine, how it is put right, and how long the API may be without an answer."""

    name: str
    seconds: float
    machine: Callable[[Lab], str]
    inject: str
    repair: str

    def do(self, command: str, cluster: Lab, machine: str) -> None:
        """`docker ...` works on the machine as a whole; anything else is a command on it."""
        if command.startswith("docker "):
            verb = command.split()[1:]
            subprocess.run(["docker", *verb, f"kubeinfra-{machine}"], check=True, capture_output=True)
        elif command:
            cluster.run(machine, command)


@dataclass(frozen=True)
class Outage:
    """The last machine of a group has lost a unit; what a task would restart on the first one, and what it says."""

    group: str
    unit: str
    task: str
    stale: str
    sentence: str

    def run(self, cluster: Lab) -> Invocation:
        """The task, by a controller of its own with a copy of all that the cluster's controller keeps."""
        other = Lab(f"{cluster.directory.name}-{self.task}")
        shutil.rmtree(other.directory, ignore_errors=True)
        shutil.copytree(cluster.directory, other.directory)
        return other.pyinfra(f"tasks/{self.task}.py", "--limit", cluster.group(self.group)[0])


def etcd_leader(cluster: Lab) -> str:
    status = json.loads(cluster.run(cluster.etcd[0], "etcdctl endpoint status -w json"))
    leader = next(one for one in status if one["Status"]["leader"] == one["Status"]["header"]["member_id"])
    return next(machine for machine in cluster.etcd if cluster.address(machine) in leader["Endpoint"])


def etcd_follower(cluster: Lab) -> str:
    return next(machine for machine in cluster.etcd if machine != etcd_leader(cluster))


def active_load_balancer(cluster: Lab) -> str:
    return next(name for name in cluster.load_balancers if holds_address(cluster, name))


def holds_address(cluster: Lab, machine: str) -> bool:
    return f" {cluster.virtual_ip}/" in cluster.run(machine, "ip -o -4 address")


FAULTS = [
    Fault("nginx is killed on the active load balancer", 1.6, active_load_balancer, "pkill -KILL nginx", ""),
    Fault(
        "the active load balancer is stopped",
        1.4,
        active_load_balancer,
        "docker stop --time 5",
        "docker start",
    ),
    Fault("the active load balancer hangs", 3.7, active_load_balancer, "docker pause", "docker unpause"),
    Fault("an API server is killed", 1.0, lambda cluster: cluster.masters[-1], "pkill -KILL kube-apiserver", ""),
    Fault(
        "an API server hangs",
        2.0,
        lambda cluster: cluster.masters[-1],
        "pkill -STOP kube-apiserver",
        "pkill -CONT kube-apiserver",
    ),
    Fault("a master is stopped", 3.0, lambda cluster: cluster.masters[-1], "docker kill", "docker start"),
    Fault(
        "a master with an etcd member is stopped",
        3.0,
        lambda cluster: cluster.masters[0],
        "docker kill",
        "docker start",
    ),
    Fault(
        "a node with an etcd member is stopped", 3.0, lambda cluster: cluster.nodes[0], "docker kill", "docker start"
    ),
    Fault("an etcd member that follows is stopped", 1.0, etcd_follower, "systemctl stop etcd", "systemctl start etcd"),
    Fault("the etcd member that leads is stopped", 3.0, etcd_leader, "systemctl stop etcd", "systemctl start etcd"),
    Fault("the machine of the etcd member that leads is stopped", 3.0, etcd_leader, "docker kill", "docker start"),
]


@pytest.fixture(scope="module")
def namespace(cluster: Lab) -> Iterator[str]:
    cluster.kubectl("create", "namespace", NAMESPACE)
    yield NAMESPACE
    cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_api_is_back_in_time_and_no_acknowledged_write_is_lost(
    cluster: Lab, namespace: str, figures: list[str], fault: Fault
) -> None:
    cluster.require_healthy(f"before {fault.name}")
    first = cluster.load_balancers[0]
    until(f"{first} has the address again", lambda: holds_address(cluster, first), 30)
    machine = fault.machine(cluster)
    url = f"https://{cluster.virtual_ip}:6443"
    with Requests(https(f"{url}/readyz")) as requests, Writes(cluster, url, namespace) as writes:
        until(
            "requests and writes are answered", lambda: len(requests.answers) > 5 and len(writes.acknowledged) > 2, 20
        )
        injected = time.monotonic()
        fault.do(fault.inject, cluster, machine)
        until("it had time to be noticed", lambda: time.monotonic() - injected > fault.seconds + 4, fault.seconds + 8)
        gap = requests.longest_gap(injected)
        repaired = datetime.now(UTC)
        fault.do(fault.repair, cluster, machine)
        until("the machine's processes are back", lambda: is_back(cluster, machine), 90)
        if machine in cluster.nodes:
            until("its kubelet has reported since", lambda: last_report(cluster, machine) > repaired, 60)
        gap_on_return = requests.longest_gap(injected)
    figures.append(f"{fault.name} ({machine}): API away for {gap:.2f} s, {gap_on_return:.2f} s with its return")
    kept = {one["metadata"]["name"] for one in cluster.get("-n", namespace, "configmaps")["items"]}
    assert set(writes.acknowledged) <= kept, f"acknowledged, but lost: {set(writes.acknowledged) - kept}"
    assert gap <= fault.seconds, f"the API was away for {gap:.2f} s, {fault.seconds} s are allowed"
    cluster.require_healthy(f"after {fault.name}, without a run")


def last_report(cluster: Lab, machine: str) -> datetime:
    """When the kubelet there renewed its lease: a node is called Ready for 40 s after its machine has gone."""
    lease = cluster.get("-n", "kube-node-lease", "lease", cluster.address(machine))
    return datetime.fromisoformat(lease["spec"]["renewTime"])


def test_an_api_that_is_away_for_a_moment_keeps_its_address(cluster: Lab, figures: list[str]) -> None:
    """It is away behind both load balancers: an address that moved would only be away for longer."""
    cluster.require_healthy("before the API servers hang")
    holder = active_load_balancer(cluster)
    watch = f"for i in $(seq 60); do ip -o -4 address | grep -c ' {cluster.virtual_ip}/'; sleep 0.1; done; exit 0"
    with ThreadPoolExecutor(1) as pool, Requests(https(f"https://{cluster.virtual_ip}:6443/readyz")) as requests:
        until("requests are answered", lambda: len(requests.answers) > 5, 20)
        seen = pool.submit(cluster.run, holder, watch)
        hung = time.monotonic()
        cluster.everywhere("pkill -STOP kube-apiserver", cluster.masters)
        until("they have hung for a while", lambda: time.monotonic() - hung > 1.5, 5)
        cluster.everywhere("pkill -CONT kube-apiserver", cluster.masters)
        held = seen.result().split()
        gap = requests.longest_gap(hung)
    figures.append(f"all API servers hang for 1.5 s: API away for {gap:.2f} s")
    assert set(held) == {"1"}, f"{holder} should have kept the address: {held}"
    assert gap < 4, f"the API should be back when its servers are, not after {gap:.2f} s"


def test_a_run_goes_on_without_a_machine_that_is_away(cluster: Lab) -> None:
    cluster.require_healthy("before a machine is stopped")
    away = cluster.nodes[-1]
    subprocess.run(["docker", "kill", f"kubeinfra-{away}"], check=True, capture_output=True)
    done = cluster.pyinfra("deploy.py", "--exclude", away)
    stopped = datetime.now(UTC)
    subprocess.run(["docker", "start", f"kubeinfra-{away}"], check=True, capture_output=True)
    until("the machine's processes are back", lambda: is_back(cluster, away), 90)
    until("its kubelet has reported since", lambda: last_report(cluster, away) > stopped, 60)
    dead = f"node {cluster.address(away)} is not healthy: not Ready"
    assert done.code == 0 or dead in done.text, f"the others should be deployed to:\n{done.text}"
    cluster.require_healthy("after it has come back")


ANOTHER_CONFIGURATION = ("etcd_compaction_retention=2h", "audit_log_max_days=31", "vrrp_password=another")


class TestAnotherConfiguration:
    """Settings that etcd, API servers and keepalived must be restarted for, and the way back to the inventory's own."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def configuration(cls, cluster: Lab) -> Iterator[None]:
        cluster.require_healthy("before another configuration")
        yield
        cluster.deploy()

    def test_members_masters_and_load_balancers_restart_one_after_the_other(
        self, cluster: Lab, namespace: str, figures: list[str]
    ) -> None:
        before = processes(cluster)
        url = f"https://{cluster.virtual_ip}:6443"
        with Requests(https(f"{url}/readyz")) as requests, Writes(cluster, url, namespace) as writes:
            until("requests are answered", lambda: len(requests.answers) > 5, 20)
            began = time.monotonic()
            cluster.deploy(*(word for setting in ANOTHER_CONFIGURATION for word in ("--data", setting)))
            gap = requests.longest_gap(began)
        after = processes(cluster)
        etcds = [(name, "etcd") for name in cluster.etcd]
        servers = [(name, "kube-apiserver") for name in cluster.masters]
        keepers = [(name, "keepalived") for name in cluster.load_balancers]
        # Reloaded while an API server restarts: the main process goes on, with new workers.
        engines = [(name, "nginx") for name in cluster.load_balancers]
        assert all(set(before[one]) & set(after[one]) for one in engines), "nginx should have been reloaded, no more"
        moved = restarted(before, after) - lost_leases(cluster, before)
        assert moved == {*etcds, *servers, *keepers, *engines}, f"nothing else should have restarted: {moved}"
        for instruction in (etcds, servers, keepers):
            starts = [min(int(process.split()[1]) for process in after[one]) for one in instruction]
            assert starts == sorted(starts), (
                f"in the inventory's order, not {dict(zip(instruction, starts, strict=True))}"
            )
        figures.append(
            f"every etcd member, API server and load balancer restarted, one after the other, with another password "
            f"between the load balancers: API away for {gap:.2f} s, {len(writes.acknowledged)} writes"
        )
        assert gap <= 3, f"the API was away for {gap:.2f} s"
        kept = {one["metadata"]["name"] for one in cluster.get("-n", namespace, "configmaps")["items"]}
        assert set(writes.acknowledged) <= kept, f"acknowledged, but lost: {set(writes.acknowledged) - kept}"

    def test_nothing_is_restarted_while_another_is_away(self, cluster: Lab) -> None:
        """On the way back: what runs has the other configuration. By three controllers at once, as each waits long."""
        outages = [
            Outage("etcd", "etcd", "etcd", "etcd", "the other etcd members are healthy"),
            Outage("master", "kube-apiserver", "control_plane", "kube-apiserver", "the other API servers are ready"),
            Outage("lb", "nginx", "load_balancer", "keepalived", "another load balancer answers"),
        ]
        for outage in outages:
            cluster.run(cluster.group(outage.group)[-1], f"systemctl stop {outage.unit}")
        before = processes(cluster)
        with ThreadPoolExecutor(len(outages)) as pool:
            refused = dict(zip(outages, pool.map(lambda outage: outage.run(cluster), outages), strict=True))
        after = processes(cluster)
        for outage in outages:
            cluster.run(cluster.group(outage.group)[-1], f"systemctl start {outage.unit}")
        for outage, run in refused.items():
            said = f"it should say what it waited for:\n{run.text}"
            assert run.code != 0 and outage.sentence in run.text, said
            stale = (cluster.group(outage.group)[0], outage.stale)
            assert after[stale] == before[stale], f"it should run on: {stale}"


def is_back(cluster: Lab, machine: str) -> bool:
    """Everything that the deploy has set up there runs again."""
    units = "etcd kube-apiserver kube-controller-manager kube-scheduler docker kubelet kube-proxy nginx keepalived"
    script = (
        f"for unit in {units}; do systemctl -q is-enabled $unit 2>/dev/null && systemctl is-active $unit; done; exit 0"
    )
    states = cluster.run(machine, script, check=False).split()
    return bool(states) and set(states) == {"active"}


def test_all_machines_come_back_together_without_a_run(cluster: Lab, figures: list[str]) -> None:
    boots, before = cluster.everywhere("stat -c %Y /proc/1"), starts(cluster)
    containers = [f"kubeinfra-{machine}" for machine in cluster.machines]
    subprocess.run(["docker", "stop", "--time", "10", *containers], check=True, capture_output=True)
    started = time.monotonic()
    subprocess.run(["docker", "start", *containers], check=True, capture_output=True)
    until("every machine's processes are back", lambda: all(is_back(cluster, name) for name in cluster.machines), 120)
    until("every pod's containers run again", lambda: started_again(cluster, before), 120)
    cluster.require_healthy("after all machines were off")
    figures.append(f"all machines stopped and started: healthy after {time.monotonic() - started:.1f} s, without a run")
    assert all(boots[name] != now for name, now in cluster.everywhere("stat -c %Y /proc/1").items()), "all were off"
    verified = cluster.pyinfra("tasks/verify.py")
    assert verified.code == 0, f"traffic between pods should flow again:\n{verified.text}"


def test_the_second_load_balancer_gives_the_address_back(cluster: Lab) -> None:
    first, second = cluster.load_balancers
    cluster.run(first, "systemctl stop keepalived")
    until(f"{second} has the address", lambda: holds_address(cluster, second), 10)
    cluster.run(first, "systemctl start keepalived")
    until(f"{first} has the address again", lambda: holds_address(cluster, first), 20)
    until(f"{second} has let it go", lambda: not holds_address(cluster, second), 10)


def test_with_nopreempt_the_address_stays_where_it_is(cluster: Lab) -> None:
    first, second = cluster.load_balancers
    cluster.deploy("--data", "vrrp_nopreempt=true")
    until("one of them has the address", lambda: holds_address(cluster, first) or holds_address(cluster, second), 10)
    here, there = (first, second) if holds_address(cluster, first) else (second, first)
    cluster.run(here, "systemctl stop keepalived")
    until(f"{there} has the address", lambda: holds_address(cluster, there), 10)
    cluster.run(here, "systemctl start keepalived")
    entered = "journalctl -u keepalived --since -30s -o cat | grep -c 'Entering BACKUP STATE'; exit 0"
    until(f"{here} stands by", lambda: cluster.run(here, entered).strip() != "0", 20)
    assert holds_address(cluster, there) and not holds_address(cluster, here), f"{there} should keep the address"
    cluster.deploy()
    until(f"{first} has the address again", lambda: holds_address(cluster, first), 20)


def test_clients_use_the_virtual_address(cluster: Lab) -> None:
    for node in cluster.nodes:
        for name in ("kubelet", "bootstrap", "kube-proxy"):
            text = cluster.run(node, f"cat /opt/kubernetes/cfg/{name}.kubeconfig")
            assert f"server: https://{cluster.virtual_ip}:6443" in text, (
                f"{node}: {name} should use the virtual address"
            )
    assert f"https://{cluster.virtual_ip}:6443" in (cluster.state / "admin.kubeconfig").read_text()
    said = cluster.run(
        cluster.nodes[0], f"curl -sS --cacert /opt/kubernetes/ssl/ca.pem https://{cluster.virtual_ip}:6443/readyz"
    )
    assert said == "ok", f"the certificate should be good for the virtual address: {said}"
