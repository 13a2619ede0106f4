"""
Put etcd back to a snapshot: `pyinfra inventory.py day2/restore.py --data snapshot=FILE --data confirm=CLUSTER_NAME`.
What it does, costs and leaves: docs/day2/restore.md.
"""

from pathlib import Path

from pyinfra import host
from pyinfra.api.exceptions import PyinfraError

from kubeinfra.components import control_plane, etcd, node
from kubeinfra.components.etcd_snapshot import revisions_go_on
from kubeinfra.components.runtime import runtime
from kubeinfra.controller.snapshots import cluster_of
from kubeinfra.operations import snapshots
from kubeinfra.operations.gates import barrier, once, wait_until
from kubeinfra.operations.units import start, stop
from kubeinfra.run.hosts import is_in_this_run, this_machine
from kubeinfra.run.inventory import cluster, run_option
from kubeinfra.run.seen import here
from tasks.network import network_gate
from tasks.preflight import preflight

# These containers of ours watch the API from where they were; if it has gone back, they would see nothing for long.
WATCHERS = ["kube-flannel", "coredns", "metrics-server"]


def asked() -> Path:
    """The snapshot that the user named, if the user also named the cluster that loses its present state."""
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


def restart_watchers() -> str:
    """Shell for a node."""
    units = f"{node.KUBELET.name} {node.KUBE_PROXY.name}"
    return f"set -e; systemctl restart {units}; {runtime(cluster()).restart_containers(WATCHERS)}"


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
is_member = "etcd" in host.groups

if is_member:
    every = etcd.members(cluster(), here().others)
    snapshots.send(name="snapshot to every member", snapshot=snapshot, digest=digest)
    snapshots.unpack(name="new data", member=etcd.member(here()), members=every)
barrier(name="--- every member has the snapshot's data next to its own")
if "master" in host.groups:
    stop(name="stop the control plane", units=control_plane.UNITS)
barrier(name="--- nobody writes")
if is_member:
    stop(name="stop etcd", units=[etcd.UNIT])
barrier(name="--- etcd is stopped")
if is_member:
    snapshots.swap(name="swap")
barrier(name="--- every member has the snapshot's data")
if is_member:
    start(name="start etcd", units=[etcd.UNIT], block=False)
    wait_until(name="etcd healthy", probe=etcd.healthy(here()))
barrier(name="--- etcd is healthy")
if "master" in host.groups:
    start(name="start the control plane", units=control_plane.UNITS, block=False)
    wait_until(name="API ready", probe=control_plane.READY)
barrier(name="--- the API answers")
if "node" in host.groups and revisions_go_on(cluster().etcd_version):
    is_gone = node.is_gone(this_machine())
    wait_until(name="Node", probe=node.is_told(this_machine()))
    once(
        name="watchers", what="note the time, so that what the kubelet says later counts", command=f"touch {node.NOTED}"
    )
    once(
        name="joined after the snapshot",
        what=f"restart {node.KUBELET.name}: {is_gone.what}",
        unless=f"! {{ {is_gone.command}; }}",
        command=f"systemctl restart {node.KUBELET.name}",
    )
    wait_until(name="Ready again", probe=node.ready_since(this_machine()))
elif "node" in host.groups:
    what = "restart kubelet, kube-proxy, flannel, CoreDNS and metrics-server"
    once(name="watchers", what=what, command=restart_watchers())
    wait_until(name="Ready again", probe=node.ready_again(this_machine()))
barrier(name="--- nodes see the restored state")
network_gate()
