"""
Put etcd back to a snapshot: `pyinfra inventory.py day2/restore.py --data snapshot=FILE --data confirm=CLUSTER_NAME`.
What it does, costs and leaves: docs/day2/restore.md.
"""

from pathlib import Path

from pyinfra import host
from pyinfra.api.exceptions import PyinfraError

from kubeinfra.controller.snapshots import cluster_of
from kubeinfra.operations import snapshots
from kubeinfra.operations.gates import barrier, once, wait_until
from kubeinfra.operations.units import start, stop
from kubeinfra.run.hosts import is_in_this_run, this_machine
from kubeinfra.run.inventory import cluster, run_option
from tasks import control_plane, etcd, network, node
from tasks.preflight import preflight

# flannel and CoreDNS watch the API from where they were; it has gone back, so they would see nothing for long.
RESTART_WATCHERS = (
    f"set -e; systemctl restart {node.KUBELET.name} {node.KUBE_PROXY.name}; "
    "for name in kube-flannel coredns; do "
    "docker ps --quiet --filter label=io.kubernetes.container.name=$name | xargs -r docker restart >/dev/null; "
    "done"
)


def asked() -> Path:
    """The snapshot that the person named, having also named the cluster that loses its present state."""
    snapshot, confirmed, name = run_option("snapshot"), run_option("confirm"), cluster().settings.cluster_name
    if snapshot is None or confirmed != name:
        known = sorted(snapshots.backups().glob("*.db"))
        raise PyinfraError(
            f"\nrestoring loses everything that happened since the snapshot; say which one and which cluster:\n"
            f"  --data snapshot={known[-1] if known else 'FILE'} --data confirm={name}"
            + (f"\n(found: confirm={confirmed})" if confirmed else "")
        )
    of = cluster_of(Path(snapshot).name)
    if of not in (None, name):
        raise PyinfraError(
            f"\n{snapshot}: is of cluster {of} by its name, and this is {name}; take one of "
            f"{snapshots.backups()}, or rename it if that is what you want"
        )
    return Path(snapshot)


def require_all_members() -> None:
    needed = {*cluster().group("etcd"), *cluster().masters, *cluster().nodes}
    missing = sorted(machine.name for machine in needed if not is_in_this_run(machine))
    if missing:
        raise PyinfraError(
            f"\na restore needs all etcd members, masters and nodes, and this run lacks {', '.join(missing)}: start "
            "them, and say no --limit; one that was left out would go on with what the others have forgotten"
        )


preflight()
snapshot = asked()
require_all_members()
digest = snapshots.checked(snapshot)
member = cluster().etcd_member(host.name)

if member:
    snapshots.send(snapshot, digest, name="snapshot to every member")
    snapshots.unpack(member, name="new data")
barrier(name="--- every member has the snapshot's data beside its own")
if "master" in host.groups:
    stop(control_plane.UNITS, name="stop the control plane")
barrier(name="--- nobody writes")
if member:
    stop([etcd.UNIT], name="stop etcd")
barrier(name="--- etcd is stopped")
if member:
    snapshots.swap(name="swap")
barrier(name="--- every member has the snapshot's data")
if member:
    start([etcd.UNIT], block=False, name="start etcd")
    wait_until(etcd.healthy(member), name="etcd healthy")
barrier(name="--- etcd is healthy")
if "master" in host.groups:
    start(control_plane.UNITS, block=False, name="start the control plane")
    wait_until(control_plane.READY, name="API ready")
barrier(name="--- the API answers")
if "node" in host.groups:
    once("kubelet, kube-proxy, flannel and CoreDNS start anew", command=RESTART_WATCHERS, name="watchers")
    wait_until(node.ready_again(this_machine()), name="Ready anew")
barrier(name="--- nodes see the restored state")
network.network_gate()
