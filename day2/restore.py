"""
Put etcd back to a snapshot: `pyinfra inventory.py day2/restore.py --data snapshot=FILE --data confirm=CLUSTER_NAME`.
What it does, costs and leaves: docs/day2/restore.md.
"""

from pathlib import Path

from pyinfra import host, state
from pyinfra.api.exceptions import PyinfraError

from kubeinfra.inventory import cluster, run_option
from kubeinfra.operations import snapshots
from kubeinfra.operations.gates import barrier, wait_until
from kubeinfra.operations.units import start
from tasks import control_plane, etcd, network, node
from tasks.preflight import preflight

UNITS_OF_MASTERS = [unit.name for unit in control_plane.UNITS]
# flannel and CoreDNS watch the API from where they were; it has gone back, so they would see nothing for long.
RESTART_WATCHERS = (
    f"systemctl restart {node.KUBELET.name} {node.KUBE_PROXY.name}; "
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
        )
    return Path(snapshot)


def require_all_members() -> None:
    needed = [*cluster().group("etcd"), *cluster().masters, *cluster().nodes]
    running = {one.name for one in state.activated_hosts}
    missing = sorted({machine.name for machine in needed if machine.name not in running})
    if missing:
        raise PyinfraError(
            f"\na restore needs all etcd members, masters and nodes; this run lacks {', '.join(missing)}"
        )


preflight()
snapshot = asked()
require_all_members()
digest = snapshots.checked(snapshot)
member = cluster().etcd_member(host.name)

if member:
    snapshots.send(snapshot, digest, name="snapshot to every member")
barrier(name="--- the snapshot is good on every member")
if "master" in host.groups:
    snapshots.stop(UNITS_OF_MASTERS, name="stop the control plane")
barrier(name="--- nobody writes")
if member:
    snapshots.stop([etcd.UNIT.name], name="stop etcd")
barrier(name="--- etcd is stopped")
if member:
    snapshots.put_back(member, name="restore")
barrier(name="--- every member has the snapshot's data")
if member:
    start([etcd.UNIT], block=False, name="start etcd")
    wait_until(etcd.HEALTHY, name="etcd healthy")
barrier(name="--- etcd is healthy")
if "master" in host.groups:
    start(control_plane.UNITS, block=False, name="start the control plane")
    wait_until(control_plane.READY, name="API ready")
barrier(name="--- the API answers")
if "node" in host.groups:
    snapshots.restart("kubelet, kube-proxy, flannel and CoreDNS start anew", RESTART_WATCHERS, name="watchers")
barrier(name="--- nodes see the restored state")
network.network_gate()
