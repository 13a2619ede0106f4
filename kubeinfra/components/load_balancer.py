"""A load balancer: its engine passes TCP on to the API servers, keepalived keeps the virtual address where it works."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.base import Component, Here, Port, Probe, Unit
from kubeinfra.components.direct import CURL
from kubeinfra.components.engines import ENGINES, engine
from kubeinfra.machine.render import static, template
from kubeinfra.machine.wanted import Directory, File, Wanted
from kubeinfra.paths import KEEPALIVED_CONF

KEEPALIVED = Unit("keepalived.service")
CHECK = "/etc/keepalived/check-apiserver"
OWNS = (*(path for one in ENGINES.values() for path in one.owns), KEEPALIVED_CONF, KEEPALIVED.drop_in, CHECK)
# keepalived 1.3 of CentOS 7 has no such option.
_KEEPALIVED_CHECK = "! keepalived --help 2>&1 | grep -q config-test || keepalived -t -f {new}"
PATIENCE = 4  # seconds that the API may be away before the address is given up


def ports(cluster: Cluster) -> tuple[Port, ...]:
    return (
        Port(cluster.settings.load_balancer_port, engine(cluster).name, ("nodes", "you", "each other")),
        Port(112, "keepalived (VRRP)", ("each other",), "IP protocol"),
    )


def units(cluster: Cluster) -> list[Unit]:
    """In the order in which they start: keepalived's check asks through the engine."""
    return [engine(cluster).unit, KEEPALIVED]


def packages(here: Here) -> list[str]:
    return [*engine(here.cluster).packages(here.platform), *here.platform.load_balancer]


def describe(here: Here) -> Component:
    return Component((*engine_files(here), *keepalived_files(here)))


def engine_files(here: Here, away: Collection[Machine] = ()) -> list[Wanted]:
    """+ away: masters that are left out, so that they can restart"""
    return engine(here.cluster).files(here, away)


def keepalived_files(here: Here) -> list[Wanted]:
    name = engine(here.cluster).name
    drop_in = template("load_balancer/keepalived.service.conf.j2", engine=name, inputs=[KEEPALIVED_CONF])
    return [
        Directory("/etc/keepalived"),
        File(CHECK, static("load_balancer/check-apiserver").replace("nginx", name), "755"),
        File(KEEPALIVED_CONF, keepalived_conf(here), "600", secret=True, check=_KEEPALIVED_CHECK),
        File(KEEPALIVED.drop_in, drop_in),
    ]


def keepalived_conf(here: Here) -> str | None:
    """The first load balancer is the VRRP master; priorities fall in the order of the inventory."""
    settings, me, everybody = here.settings, here.machine, here.cluster.load_balancers
    password = settings.vrrp_password or here.secrets.vrrp_password
    own = here.seen.interface_of(me.address)
    if password is None or own is None:
        return None
    position = everybody.index(me)
    return template(
        "load_balancer/keepalived.conf.j2",
        name=me.hostname,
        # keepalived accepts nopreempt only with state BACKUP.
        state="MASTER" if position == 0 and not settings.vrrp_nopreempt else "BACKUP",
        interface=own.name,
        prefix=own.address.network.prefixlen,
        router_id=settings.vrrp_router_id,
        # Near the highest: the lower it is, the longer a backup waits before it takes over, by up to a second.
        priority=254 - 10 * position,
        nopreempt=settings.vrrp_nopreempt,
        address=me.address,
        peers=[other.address for other in everybody if other is not me],
        password=password,
        check=check(here.cluster),
        patience=PATIENCE,
        virtual_ip=settings.virtual_ip,
    )


def check(cluster: Cluster) -> str:
    """Command of the check, with its arguments: keepalived uses the old port until it restarts."""
    return f"{CHECK} {cluster.settings.load_balancer_port} {PATIENCE}"


def has_address(address: IPv4Address | None) -> str:
    """Shell that succeeds if one of the machine's interfaces has this address."""
    return f"ip -o -4 address | grep -q ' {address}/'"


def healthy(here: Here) -> Probe:
    """The virtual address answers, seen from this load balancer."""
    cluster = here.cluster
    command = f"{check(cluster)} && {_asks(f'{cluster.server}/readyz')}"
    what = f"an API server answers through {engine(cluster).name} and at {cluster.endpoint}"
    if here.machine == cluster.load_balancers[0] and not here.settings.vrrp_nopreempt:
        # Before the next one restarts: with different passwords or ids they would not hear each other's advertisements.
        command += f" && {has_address(here.settings.virtual_ip)}"
        what += ", and the first load balancer holds the address"
    return Probe(what, command, 60, "keepalived")


def another_answers(here: Here) -> Probe | None:
    """The other load balancers; one through which no API server answers may always restart."""
    port = here.settings.load_balancer_port
    others = [
        _asks(f"https://{other.address}:{port}/readyz")
        for other in here.cluster.load_balancers
        if other != here.machine
    ]
    if not others:
        return None
    return Probe("another load balancer answers", " || ".join([f"! {check(here.cluster)}", *others]), 60)


def _asks(url: str) -> str:
    return f"{CURL} --silent --fail --insecure --max-time 2 --output /dev/null {url}"
