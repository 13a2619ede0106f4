"""Whether clients are sent to an API server that is not ready: one asks in turn, and each failed request counts."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from availability import InTurn, Requests, https
from invocation import Invocation
from laboratory import Lab, until
from observe import command_line, lost_leases, processes, restarted

HAPROXY = ("--data", "load_balancer_engine=haproxy")
CONF = {"nginx": "/etc/nginx/kubernetes.conf", "haproxy": "/etc/haproxy/haproxy.cfg"}


def readyz(address: str) -> str:
    return f"https://{address}:6443/readyz"


def one_client(cluster: Lab) -> InTurn:
    """It asks through the load balancers; a late answer counts, unless the masters were late themselves."""
    direct = [https(readyz(cluster.address(master))) for master in cluster.masters]
    return InTurn(https(readyz(cluster.virtual_ip)), direct)


def is_ready(cluster: Lab, master: str) -> bool:
    asks = f"curl -sk --max-time 2 {readyz(cluster.address(master))}; exit 0"
    return cluster.run(master, asks) == "ok"


def succeed(done: Invocation) -> Invocation:
    assert done.code == 0, f"{done} should have succeeded:\n{done.text}"
    return done


def another_number_of_days(cluster: Lab) -> tuple[str, str]:
    """A value of audit_log_max_days that API servers must restart for: 31 after 30, the default, and 30 after 31."""
    flags = command_line(cluster, cluster.masters[0], "kube-apiserver").split()
    return "--data", f"audit_log_max_days={31 if '--audit-log-maxage=30' in flags else 30}"


def restart_all_masters(cluster: Lab, engine: str, figures: list[str], *settings: str) -> None:
    """By the run that the page of the control plane has; the load balancers' files are as before in the end."""
    cluster.require_healthy(f"before API servers restart behind {engine}")
    before, files = processes(cluster), cluster.everywhere(f"cat {CONF[engine]}", cluster.load_balancers)
    with one_client(cluster) as client:
        until("the client is answered", lambda: client.answered > 5, 20)
        began = time.monotonic()
        limits = ("--limit", "master", "--limit", "lb")
        succeed(cluster.pyinfra("tasks/control_plane.py", *limits, *another_number_of_days(cluster), *settings))
        seconds = time.monotonic() - began
    figures.append(f"all API servers restarted behind {engine}, in {seconds:.0f} s: {client.said()}")
    moved = restarted(before, processes(cluster)) - lost_leases(cluster, before)
    servers = {(master, "kube-apiserver") for master in cluster.masters}
    # A reload leaves the main process and makes new workers.
    assert servers <= moved <= servers | {(name, engine) for name in cluster.load_balancers}, f"restarted: {moved}"
    assert cluster.everywhere(f"cat {CONF[engine]}", cluster.load_balancers) == files
    assert not client.missed, f"a planned restart should cost no request: {client.said()}"


def kill_an_api_server(cluster: Lab, engine: str, figures: list[str]) -> InTurn:
    cluster.require_healthy(f"before an API server behind {engine} is killed")
    victim = cluster.masters[-1]
    with one_client(cluster) as client:
        until("the client is answered", lambda: client.answered > 5, 20)
        cluster.run(victim, "pkill -KILL kube-apiserver")
        until("it has gone", lambda: not is_ready(cluster, victim), 10)
        until("it is ready again", lambda: is_ready(cluster, victim), 60)
        more = client.answered + 20
        until("clients are sent to it again", lambda: client.answered > more, 20)
    figures.append(f"an API server killed behind {engine}: {client.said()}, within {client.seconds():.2f} s")
    return client


def change_engine(cluster: Lab, figures: list[str], engine: str, *settings: str) -> None:
    with Requests(https(readyz(cluster.virtual_ip))) as requests:
        until("requests are answered", lambda: len(requests.answers) > 5, 20)
        began = time.monotonic()
        succeed(cluster.pyinfra("tasks/load_balancer.py", *settings))
        gap = requests.longest_gap(began)
    figures.append(f"load balancers changed to {engine}, one after the other: API away for {gap:.2f} s")
    former = next(name for name in CONF if name != engine)
    for machine in cluster.load_balancers:
        asks = f"systemctl is-active {engine} {former}; systemctl is-enabled {engine} {former}; exit 0"
        said = cluster.run(machine, asks)
        assert said.split() == ["active", "inactive", "enabled", "disabled"], f"{machine}: {said}"
    # A second until keepalived's check sees that the engine is away, less than another until its peer has the address.
    assert gap <= 2, f"another should serve meanwhile, but the API was away for {gap:.2f} s"


def test_a_rolling_restart_behind_nginx_costs_no_request(cluster: Lab, figures: list[str]) -> None:
    restart_all_masters(cluster, "nginx", figures)


def test_nginx_sends_clients_to_an_api_server_that_is_not_ready(cluster: Lab, figures: list[str]) -> None:
    """Its limit, as the README says: only what it costs is measured, and that it ends."""
    client = kill_an_api_server(cluster, "nginx", figures)
    assert client.seconds() < 30


class TestHaproxy:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def engine(cls, cluster: Lab, figures: list[str]) -> Iterator[None]:
        cluster.require_healthy("before another engine")
        change_engine(cluster, figures, "haproxy", *HAPROXY)
        yield
        change_engine(cluster, figures, "nginx")
        cluster.require_healthy("after the way back")

    def test_the_next_run_has_nothing_to_do(self, cluster: Lab) -> None:
        before = processes(cluster)
        again = succeed(cluster.pyinfra("tasks/load_balancer.py", "--json", *HAPROXY))
        assert not again.changes, f"the next run should change nothing: {again.changes}"
        assert not restarted(before, processes(cluster))

    def test_a_rolling_restart_costs_no_request(self, cluster: Lab, figures: list[str]) -> None:
        restart_all_masters(cluster, "haproxy", figures, *HAPROXY)

    def test_a_crash_costs_a_second_at_most_and_nobody_meets_a_server_that_is_not_ready(
        self, cluster: Lab, figures: list[str]
    ) -> None:
        client = kill_an_api_server(cluster, "haproxy", figures)
        assert client.seconds() <= 1, client.said()
        answered = [one for one in client.missed if one.failure.isdecimal()]
        assert not answered, f"no answer should come from a server that is not ready: {client.said()}"
        told = cluster.run(cluster.load_balancers[0], "journalctl -t haproxy -o cat --no-pager; exit 0")
        assert f"{cluster.masters[-1]} is DOWN" in told and f"{cluster.masters[-1]} is UP" in told, told[-2000:]
