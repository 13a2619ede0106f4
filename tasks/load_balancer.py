"""Load balancers: nginx passes TCP on to the API servers, keepalived keeps one address on whichever of them works."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy
from pyinfra.api.exceptions import PyinfraError

from kubeinfra.cluster.cluster import Machine
from kubeinfra.facts.network import VirtualAddress, VirtualAddressState
from kubeinfra.health.questions import has_address
from kubeinfra.machine.render import static, template
from kubeinfra.machine.wanted import Directory, File, Wanted
from kubeinfra.operations.controller import cas
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import Probe, barrier, require
from kubeinfra.operations.rolling import one_at_a_time
from kubeinfra.operations.system import note, packages
from kubeinfra.operations.units import Unit, converge, start
from kubeinfra.run.controller import controller
from kubeinfra.run.hosts import is_deploy_file, is_lead_host, this_machine
from kubeinfra.run.inventory import cluster
from tasks.preflight import check_absent_machines, machine_state, preflight

NGINX = Unit("nginx.service", "/usr/sbin/nginx", reloads=True)
KEEPALIVED = Unit("keepalived.service")
PACKAGES = {
    "debian": ["nginx", "libnginx-mod-stream", "keepalived"],
    "redhat": ["nginx", "nginx-mod-stream", "keepalived"],
}
MODULES = {"debian": "/etc/nginx/modules-enabled/*.conf", "redhat": "/usr/share/nginx/modules/*.conf"}
USERS = {"debian": "www-data", "redhat": "nginx"}
CHECK = "/etc/keepalived/check-apiserver"
PATIENCE = 4  # seconds that the API may be away before the address is given up

_seen: dict[str, VirtualAddressState] = {}


def check_virtual_address() -> None:
    """Before anything is changed: the address is of the machine's subnet, and nobody else answers for it."""
    virtual_ip = cluster().settings.virtual_ip
    if "lb" not in host.groups or virtual_ip is None:
        return
    me = this_machine()
    peers = [str(peer.address) for peer in cluster().load_balancers if peer is not me]
    found = host.get_fact(VirtualAddress, address=str(virtual_ip), peers=peers)
    if found is None:
        return  # the fact has told why, and the host is out of the run
    _seen[host.name] = found
    if not found.asked:
        note(f"without ping on this machine nobody could be asked whether virtual_ip {virtual_ip} is free")
    own = found.interface_of(me.address)
    if own is None:
        raise PyinfraError(f"\n{host.name}: no interface has its address {me.address}; correct the inventory")
    subnet = own[1].network
    if virtual_ip not in subnet or virtual_ip in (subnet.network_address, subnet.broadcast_address):
        raise PyinfraError(
            f"\n{host.name}: virtual_ip {virtual_ip} is not a usable address of its subnet {subnet} on {own[0]}; "
            "set virtual_ip in group_data/lb.py to a free address of that subnet"
        )
    if not found.has(virtual_ip) and found.stranger:
        raise PyinfraError(
            f"\n{host.name}: somebody who is no load balancer of this inventory answers for virtual_ip {virtual_ip} "
            f"({found.answered_by}); take a free address, or switch that machine off"
        )


@deploy("load balancer")
def load_balancer() -> None:
    """nginx before keepalived: its check asks through it."""
    if is_lead_host() and cluster().load_balancers and not cluster().settings.vrrp_password:
        cas([], ["vrrp-password"], name="password between the load balancers")
    barrier(name="the load balancers' password is there")
    if "lb" not in host.groups:
        return
    # Debian starts what it installs, with a configuration that is not ours.
    family = machine_state().family
    packages(PACKAGES[family], family, stop=["nginx", "keepalived"], name="packages")
    install([*nginx_files(), *keepalived_files(this_machine())], name="files")
    start([NGINX, KEEPALIVED], name="start")


@deploy("load balancer")
def load_balancer_gate() -> None:
    """The virtual address answers, seen from each load balancer; then what must be restarted, one at a time."""
    if "lb" not in host.groups:
        return
    answers = f"{check()} && curl --silent --fail --insecure --max-time 2 --output /dev/null {cluster().server}/readyz"
    what = f"an API server answers through nginx and at {cluster().endpoint}"
    if this_machine() == cluster().load_balancers[0] and not cluster().settings.vrrp_nopreempt:
        # Before the next one restarts: with another password or id they would not hear each other's farewell.
        answers += f" && {has_address(cluster().settings.virtual_ip)}"
        what += ", and the first load balancer holds the address"
    healthy = Probe(what, answers, 60, "keepalived")
    one_at_a_time(
        cluster().load_balancers,
        lambda: converge([NGINX, KEEPALIVED], healthy, guard=another_answers(), name=f"{host.name} is well"),
    )


def another_answers() -> Probe | None:
    port = cluster().settings.load_balancer_port
    others = [
        f"curl --silent --fail --insecure --max-time 2 --output /dev/null https://{other.address}:{port}/readyz"
        for other in cluster().load_balancers
        if other.name != host.name
    ]
    # One through which nothing answers has nothing to lose.
    return Probe("another load balancer answers", " || ".join([f"! {check()}", *others]), 60) if others else None


def nginx_files() -> list[Wanted]:
    family = machine_state().family
    conf, unit_file = "/etc/nginx/kubernetes.conf", "/etc/systemd/system/nginx.service"
    text = template(
        "load_balancer/nginx.conf.j2",
        user=USERS[family],
        load_modules=f"include {MODULES[family]};",
        servers=[cluster().apiserver(master) for master in cluster().masters],
        port=cluster().settings.load_balancer_port,
    )
    return [
        File(conf, text, check="nginx -t -q -c {new}"),
        File(unit_file, template("load_balancer/nginx.service.j2", inputs=[unit_file, conf])),
    ]


def keepalived_files(me: Machine) -> list[Wanted]:
    conf = "/etc/keepalived/keepalived.conf"
    return [
        Directory("/etc/keepalived"),
        File(CHECK, static("load_balancer/check-apiserver"), "755"),
        File(conf, lambda: keepalived_conf(me), "600", secret=True, check="keepalived -t -f {new}"),
        File(
            "/etc/systemd/system/keepalived.service.d/kubeinfra.conf",
            template("load_balancer/keepalived.service.conf.j2", inputs=[conf]),
        ),
    ]


def check() -> str:
    """With what it needs to know: keepalived goes on with the old port until its own restart."""
    return f"{CHECK} {cluster().settings.load_balancer_port} {PATIENCE}"


def keepalived_conf(me: Machine) -> str | None:
    """The first of the group is the master of the address; priorities fall in the inventory's order."""
    settings = cluster().settings
    password = settings.vrrp_password or controller().secret("vrrp-password")
    own = _seen[host.name].interface_of(me.address) if host.name in _seen else None
    if password is None or own is None:
        return None
    position = cluster().load_balancers.index(me)
    return template(
        "load_balancer/keepalived.conf.j2",
        name=me.hostname,
        # keepalived takes nopreempt only from one that starts as BACKUP.
        state="MASTER" if position == 0 and not settings.vrrp_nopreempt else "BACKUP",
        interface=own[0],
        prefix=own[1].network.prefixlen,
        router_id=settings.vrrp_router_id,
        # Near the highest: the lower it is, the longer a backup waits before it takes over, by up to a second.
        priority=254 - 10 * position,
        nopreempt=settings.vrrp_nopreempt,
        address=me.address,
        peers=[other.address for other in cluster().load_balancers if other is not me],
        password=password,
        check=check(),
        patience=PATIENCE,
        virtual_ip=settings.virtual_ip,
    )


if is_deploy_file(__file__):
    preflight()
    check_absent_machines()
    check_virtual_address()
    if "lb" in host.groups:
        asked = " || ".join(
            f"curl --silent --fail --insecure --max-time 5 --output /dev/null https://{cluster().apiserver(master)}/readyz"
            for master in cluster().masters
        )
        require(Probe("an API server answers", asked), "run tasks/control_plane.py first", name="an API server answers")
    load_balancer()
    load_balancer_gate()
