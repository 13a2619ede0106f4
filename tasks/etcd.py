"""etcd: the members with their certificates, started together, restarted one at a time."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.cluster.cluster import EtcdMember
from kubeinfra.machine.render import template
from kubeinfra.machine.wanted import Directory, File, Link, Wanted
from kubeinfra.operations.controller import cas
from kubeinfra.operations.files import install
from kubeinfra.operations.gates import Probe, barrier
from kubeinfra.operations.rolling import one_at_a_time
from kubeinfra.operations.system import packages
from kubeinfra.operations.units import Unit, converge, start
from kubeinfra.pki.certificates import etcd_server
from kubeinfra.run.hosts import ca_pem, is_deploy_file, is_lead_host
from kubeinfra.run.inventory import cluster
from tasks.artifacts import bring, needed_here
from tasks.preflight import check_absent_machines, machine_state, preflight

UNIT = Unit("etcd.service", "/opt/etcd/bin/etcd")
_HEALTH = "/usr/local/bin/etcdctl endpoint health"


@deploy("etcd")
def etcd() -> None:
    """Members that do not run are started at once: the first waits for a quorum."""
    if is_lead_host():
        cas(["etcd"], name="authority")
    barrier(name="the authority of etcd is there")
    member = cluster().etcd_member(host.name)
    if member is None:
        return
    install(files(member), [etcd_server(member)], needed_here("etcd"), name="files")
    start([UNIT], block=False, name="start")


@deploy("etcd")
def etcd_gate() -> None:
    """Healthy as a whole; then each member that runs from something else than the disk has, one at a time."""
    member = cluster().etcd_member(host.name)
    if member is None:
        return
    one_at_a_time(
        (other.machine for other in cluster().etcd_members),
        lambda: converge(
            [UNIT], healthy=healthy(member), guard=others_healthy(member), name=f"{member.name} is healthy"
        ),
    )


def files(member: EtcdMember) -> list[Wanted]:
    settings = cluster().settings
    members = cluster().etcd_members
    unit_file = "/etc/systemd/system/etcd.service"
    inputs = [unit_file, "/opt/etcd/cfg/etcd", "/opt/etcd/ssl/ca.pem", *etcd_server(member).files]
    environment = template(
        "etcd/etcd.j2",
        member=member,
        quota_backend_bytes=settings.etcd_quota_backend_bytes,
        compaction_retention=settings.etcd_compaction_retention,
    )
    return [
        Directory("/opt/etcd/cfg"),
        Directory("/opt/etcd/ssl", "700"),
        Directory("/var/lib/etcd", "700"),
        Directory("/var/lib/etcd/default.etcd", "700"),
        File("/opt/etcd/ssl/ca.pem", lambda: ca_pem("etcd")),
        File("/opt/etcd/cfg/etcd", environment),
        File(
            "/opt/etcd/cfg/etcd.initial",
            template("etcd/etcd.initial.j2", member=member, members=members),
            unless="/var/lib/etcd/default.etcd/member",
        ),
        File("/usr/local/bin/etcdctl", template("etcd/etcdctl.j2", members=members), mode="755"),
        Link("/usr/local/bin/etcd", "/opt/etcd/bin/etcd"),
        File(unit_file, template("etcd/etcd.service.j2", inputs=inputs)),
    ]


def healthy(member: EtcdMember) -> Probe:
    """The member answers a read that needs a quorum; so a run that leaves out a member that is dead goes on."""
    return Probe(f"{member.name} is healthy", f"ETCDCTL_ENDPOINTS={member.client_url} {_HEALTH}", unit="etcd")


def others_healthy(member: EtcdMember) -> Probe | None:
    """
    The rest must be a quorum without this one; asked on the machine, right before its restart. One that is not healthy
    itself has nothing to lose: where an authority has ended, none is, and each needs its restart.
    """
    others = [other.client_url for other in cluster().etcd_members if other is not member]
    if not others:
        return None
    asked = f"ETCDCTL_ENDPOINTS={','.join(others)} {_HEALTH}"
    return Probe("the other etcd members are healthy", f"! {healthy(member).command} || {asked}", 60)


if is_deploy_file(__file__):
    preflight()
    check_absent_machines()
    if "etcd" in host.groups:
        packages(["openssl"], machine_state().family, name="what reads certificates")
    bring(["etcd"])
    etcd()
    etcd_gate()
