"""What passes TCP on to the API servers: what each engine's file says, and how one takes the other's place."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

import pytest
from cluster_samples import SEEN, guide, here, machine, problems
from test_recorded_inputs import ROTATING, SECRETS

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.components import load_balancer
from kubeinfra.components.base import Unit
from kubeinfra.components.engines import engine, other
from kubeinfra.machine.software import Software
from kubeinfra.machine.state import MachineState, UnitState
from kubeinfra.machine.wanted import File
from kubeinfra.operations.units import is_in_place, replacement
from kubeinfra.pki.secrets import ClusterSecrets

HAPROXY = guide(load_balancer_engine="haproxy")
CFG, CA, NGINX_CONF = "/etc/haproxy/haproxy.cfg", "/etc/haproxy/kubernetes-ca.pem", "/etc/nginx/kubernetes.conf"


def files(
    found: Cluster,
    away: Collection[str] = (),
    seen: MachineState = SEEN,
    secrets: ClusterSecrets = SECRETS,
) -> dict[str, File]:
    what = replace(here(found, "lb1", seen), secrets=secrets)
    every = load_balancer.engine_files(what, [machine(found, name) for name in away])
    return {item.path: item for item in every if isinstance(item, File)}


def lines(found: Cluster, path: str, word: str, **options: object) -> list[str]:
    text = files(found, **options)[path].content  # type: ignore[arg-type]
    assert text is not None
    return [line.strip() for line in text.splitlines() if line.strip().startswith(f"{word} ")]


def test_nginx_passes_on_to_every_master_in_turn() -> None:
    assert lines(guide(), NGINX_CONF, "server") == [
        "server 192.168.80.10:6443 max_fails=1 fail_timeout=1s;",
        "server 192.168.80.20:6443 max_fails=1 fail_timeout=1s;",
        "server {",
    ]


@pytest.mark.parametrize(("found", "path", "word"), [(guide(), NGINX_CONF, "down;"), (HAPROXY, CFG, "disabled")])
def test_a_master_that_is_away_gets_no_new_connection(found: Cluster, path: str, word: str) -> None:
    whole, without = (lines(found, path, "server", away=away) for away in ((), ("m2",)))
    assert [word in line.split() for line in without[:2]] == [False, True]
    assert [word in line.split() for line in whole] == [False] * len(whole)
    assert without[1].removesuffix(word).rstrip(" ") == whole[1].removesuffix(";"), "nothing else should change"


def test_haproxy_asks_each_master_whether_it_is_ready_and_trusts_nobody_but_an_api_server() -> None:
    assert lines(HAPROXY, CFG, "option") == [
        "option redispatch",
        "option clitcpka",
        "option srvtcpka",
        "option httpchk GET /readyz?exclude=etcd",
    ]
    for line, name, address in zip(
        lines(HAPROXY, CFG, "server"), ("m1", "m2"), ("192.168.80.10:6443", "192.168.80.20:6443"), strict=True
    ):
        assert line == f"server {name} {address} check check-ssl verify required ca-file {CA} verifyhost kubernetes"
    assert "kubernetes" in HAPROXY.apiserver_names, "the name that the check wants should be in the certificate"


@pytest.mark.parametrize("secrets", [SECRETS, ROTATING])
def test_haproxy_trusts_every_certificate_of_the_ca(secrets: ClusterSecrets) -> None:
    found = files(HAPROXY, secrets=secrets)[CA]
    assert (found.content, found.secret) == (secrets.bundle("kubernetes"), False)


def test_a_server_that_refuses_or_is_not_ready_is_out_within_a_second() -> None:
    (default,) = lines(HAPROXY, CFG, "default-server")
    said = dict(re.findall(r"(\w+) (\d+)(?:ms)?\b", default))
    assert int(said["inter"]) + (int(said["fall"]) - 1) * int(said["fastinter"]) <= 1000
    assert default.endswith("on-marked-down shutdown-sessions")


@pytest.mark.parametrize(("systemd", "there"), [(252, True), (219, False)])
def test_a_release_that_cannot_hand_its_listeners_over_is_not_told_to(systemd: int, there: bool) -> None:
    (socket,) = lines(HAPROXY, CFG, "stats", seen=replace(SEEN, systemd=systemd))
    assert socket.endswith(" expose-fd listeners") == there


@pytest.mark.parametrize("found", [guide(), HAPROXY])
def test_a_file_is_checked_by_its_own_program(found: Cluster) -> None:
    checks = {path: item.check for path, item in files(found).items() if item.check}
    assert checks == ({CFG: "haproxy -c -q -f {new}"} if found is HAPROXY else {NGINX_CONF: "nginx -t -q -c {new}"})


@pytest.mark.parametrize("found", [guide(), HAPROXY], ids=["nginx", "haproxy"])
def test_keepalived_follows_the_engine_that_runs(found: Cluster) -> None:
    name, absent = engine(found).name, other(found).name
    what = replace(here(found, "lb1"), secrets=SECRETS)
    texts = {item.path: item.content for item in load_balancer.keepalived_files(what) if isinstance(item, File)}
    drop_in = texts["/etc/systemd/system/keepalived.service.d/kubeinfra.conf"] or ""
    assert f"After={name}.service\nWants={name}.service\n" in drop_in
    assert absent not in drop_in + (texts["/etc/keepalived/check-apiserver"] or "")
    assert [unit.name for unit in load_balancer.units(found)] == [f"{name}.service", "keepalived.service"]


def test_each_engine_has_its_packages() -> None:
    rocky = replace(SEEN, family="redhat", distribution="rocky", software=Software(version="9.4"))
    assert load_balancer.packages(here(HAPROXY, "lb1", rocky)) == ["haproxy", "iputils", "keepalived"]
    debian = load_balancer.packages(here(guide(), "lb1"))
    assert debian == ["libnginx-mod-stream", "nginx", "iputils-ping", "keepalived"]


def test_a_third_engine_is_refused() -> None:
    (found,) = problems(load_balancer_engine="envoy")
    assert "load_balancer_engine" in found and "'nginx' or 'haproxy'" in found


NEW, LAST, OLD = Unit("haproxy.service"), Unit("keepalived.service"), Unit("nginx.service")


def state(active: str, enabled: str = "enabled", ours: bool = True) -> UnitState:
    return UnitState(active, enabled, False, {"/etc/x": "was"} if ours else {}, ())


@pytest.mark.parametrize(
    ("found", "in_place"),
    [
        (state("active"), True),
        (state("active", "disabled"), True),
        (state("failed"), True),  # it would be there again at boot
        (state("inactive", "disabled"), False),
        (state("active", ours=False), False),  # somebody's web server
        (UnitState("", "", False, {}, ()), False),
    ],
)
def test_only_a_unit_of_ours_that_runs_or_will_is_replaced(found: UnitState, in_place: bool) -> None:
    assert is_in_place(found) == in_place


def test_the_address_leaves_before_the_engine_stops_and_comes_when_the_other_runs() -> None:
    found = {OLD.name: state("active"), LAST.name: state("active"), NEW.name: state("inactive", "disabled")}
    commands = [step.command for step in replacement([NEW, LAST], OLD, found)]
    assert commands == [
        "systemctl stop keepalived.service && systemctl disable --quiet nginx.service && systemctl stop nginx.service"
        " && { ! systemctl --quiet is-failed nginx.service || systemctl reset-failed nginx.service; }",
        "systemctl enable --quiet haproxy.service",
        "systemctl start haproxy.service",
        "systemctl start keepalived.service",
    ]
