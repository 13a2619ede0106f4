"""Load balancers: nginx or haproxy, and keepalived, in front of the masters, one restarted at a time."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.checks.virtual_address import problems
from kubeinfra.components import load_balancer as component
from kubeinfra.components.control_plane import answers
from kubeinfra.components.engines import other
from kubeinfra.facts.network import VirtualAddress
from kubeinfra.operations.controller import create
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import barrier, require
from kubeinfra.operations.system import note, packages
from kubeinfra.operations.units import converge, start
from kubeinfra.run.hosts import is_deploy_file, is_lead_host, this_machine
from kubeinfra.run.inventory import cluster, refuse
from kubeinfra.run.seen import here
from tasks.preflight import check_absent_machines, preflight


def check_virtual_address() -> None:
    """Before anything is changed: the address is in the machine's subnet, and no other machine answers for it."""
    virtual_ip = cluster().settings.virtual_ip
    if "lb" not in host.groups or virtual_ip is None:
        return
    peers = [str(peer.address) for peer in cluster().load_balancers if peer != this_machine()]
    found = host.get_fact(VirtualAddress, address=str(virtual_ip), peers=peers)
    if found is None:
        return  # pyinfra has shown the reason, and the host is out of the run
    if not found.asked:
        note(f"whether virtual_ip {virtual_ip} is free could not be checked: this machine has no ping")
    refuse(problems(this_machine(), virtual_ip, found))


@deploy("load balancer")
def load_balancer() -> None:
    """The engine before keepalived, whose check asks through it."""
    if is_lead_host() and cluster().load_balancers and not cluster().settings.vrrp_password:
        create(name="password between the load balancers", shared=["vrrp-password"])
    barrier(name="the load balancers' password is there")
    if "lb" in host.groups:
        # Debian starts a service when it is installed, with the package's configuration.
        packages(
            name="packages",
            names=component.packages(here()),
            family=here().platform.family,
            stop=["nginx", "haproxy", "keepalived"],
        )
        install(name="files", describe=component.describe)
        start(name="start", units=component.units(cluster()), replaces=other(cluster()).unit)


@deploy("load balancer")
def load_balancer_gate() -> None:
    """The virtual address answers, seen from each load balancer; then what must be restarted, one at a time."""
    if "lb" in host.groups:
        converge(
            name="healthy",
            units=component.units(cluster()),
            healthy=component.healthy(here()),
            guard=component.another_answers(here()),
            at_once=1,
            replaces=other(cluster()).unit,
        )


if is_deploy_file(__file__):
    preflight()
    check_absent_machines()
    check_virtual_address()
    if "lb" in host.groups:
        require(name="an API server answers", probe=answers(cluster()), remedy="run tasks/control_plane.py first")
    load_balancer()
    load_balancer_gate()
