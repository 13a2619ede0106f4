"""etcd: the members with their certificates, started together, restarted one at a time."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.components import etcd as component
from kubeinfra.operations.controller import create
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import barrier
from kubeinfra.operations.system import packages
from kubeinfra.operations.units import converge, start
from kubeinfra.run.hosts import is_deploy_file, is_lead_host
from kubeinfra.run.seen import here
from tasks.artifacts import bring
from tasks.preflight import check_absent_machines, preflight


@deploy("etcd")
def etcd() -> None:
    """Members that do not run are started at once: the first waits for a quorum."""
    if is_lead_host():
        create(name="CA", cas=["etcd"])
    barrier(name="the CA of etcd is there")
    if "etcd" in host.groups:
        install(name="files", describe=component.describe)
        start(name="start", units=[component.UNIT], block=False)


@deploy("etcd")
def etcd_gate() -> None:
    """Healthy as a whole; then each member that runs from something else than the disk has, one at a time."""
    if "etcd" in host.groups:
        healthy, guard = component.healthy(here()), component.others_healthy(here())
        converge(name="healthy", units=[component.UNIT], healthy=healthy, guard=guard, at_once=1)


if is_deploy_file(__file__):
    preflight()
    check_absent_machines()
    if "etcd" in host.groups:
        packages(name="what reads certificates", names=here().platform.etcd, family=here().platform.family)
    bring(["etcd"])
    etcd()
    etcd_gate()
