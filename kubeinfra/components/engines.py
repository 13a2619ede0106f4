"""What passes TCP on to the API servers: nginx, as in the guide, or haproxy, which asks them whether they are ready."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.components.base import Here, Unit
from kubeinfra.components.platforms import Platform
from kubeinfra.machine.render import template
from kubeinfra.machine.wanted import File, Wanted

NGINX_UNIT = Unit("nginx.service", "/usr/sbin/nginx", reloads=True)
NGINX_CONF = "/etc/nginx/kubernetes.conf"
HAPROXY_UNIT = Unit("haproxy.service", reloads=True)
HAPROXY_CFG = "/etc/haproxy/haproxy.cfg"
HAPROXY_CA = "/etc/haproxy/kubernetes-ca.pem"
HAPROXY_SOCKET = "/run/haproxy.sock"


@dataclass(frozen=True)
class Engine:
    """
    A program that load balancers run; a reload is enough for its configuration, and keeps connections.

    + packages: of a distribution; + owns: paths that are ours
    + files: what a load balancer has of it, with these masters left out: no new connection is passed on to them
    """

    unit: Unit
    packages: Callable[[Platform], tuple[str, ...]]
    owns: tuple[str, ...]
    files: Callable[[Here, Collection[Machine]], list[Wanted]]

    @property
    def name(self) -> str:
        return self.unit.name.removesuffix(".service")


def _nginx(here: Here, away: Collection[Machine]) -> list[Wanted]:
    """The distribution's configuration is not used, nor its unit: both are for web servers."""
    platform, settings = here.platform, here.settings
    text = template(
        "load_balancer/nginx.conf.j2",
        user=platform.nginx_user,
        load_modules=f"include {platform.nginx_modules};",
        # nginx 1.15.6 brought it.
        keepalive=tuple(map(int, platform.nginx.split("."))) > (1, 15),
        masters=here.cluster.masters,
        apiserver_port=settings.apiserver_port,
        away=away,
        port=settings.load_balancer_port,
    )
    unit_file = template("load_balancer/nginx.service.j2", inputs=[NGINX_UNIT.file, NGINX_CONF])
    return [File(NGINX_CONF, text, check="nginx -t -q -c {new}"), File(NGINX_UNIT.file, unit_file)]


def _haproxy(here: Here, away: Collection[Machine]) -> list[Wanted]:
    """With the distribution's unit, which knows how its release is started and reloaded; it reads that one file."""
    settings, systemd = here.settings, here.seen.systemd
    text = template(
        "load_balancer/haproxy.cfg.j2",
        socket=HAPROXY_SOCKET,
        # From 1.8 on a reload hands its listeners over; EL 7, which has systemd 219, has 1.5 without that word.
        exposes_listeners=systemd is None or systemd > 219,
        port=settings.load_balancer_port,
        ca=HAPROXY_CA,
        masters=here.cluster.masters,
        apiserver_port=settings.apiserver_port,
        away=away,
    )
    drop_in = template("load_balancer/haproxy.service.conf.j2", inputs=[HAPROXY_CFG, HAPROXY_CA])
    return [
        File(HAPROXY_CA, here.secrets.bundle("kubernetes")),
        File(HAPROXY_CFG, text, check="haproxy -c -q -f {new}"),
        File(HAPROXY_UNIT.drop_in, drop_in),
    ]


NGINX = Engine(
    NGINX_UNIT,
    lambda platform: platform.nginx_packages,
    (NGINX_CONF, NGINX_UNIT.file),
    _nginx,
)
HAPROXY = Engine(
    HAPROXY_UNIT,
    lambda _: ("haproxy",),
    (HAPROXY_CFG, HAPROXY_CA, HAPROXY_UNIT.drop_in),
    _haproxy,
)
ENGINES = {engine.name: engine for engine in (NGINX, HAPROXY)}


def engine(cluster: Cluster) -> Engine:
    """The one that this cluster's load balancers shall run."""
    return ENGINES[cluster.settings.load_balancer_engine]


def other(cluster: Cluster) -> Engine:
    """The one that they may have run before; both use the same port."""
    return next(one for one in ENGINES.values() if one is not engine(cluster))
