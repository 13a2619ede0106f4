"""
Back up etcd: `pyinfra inventory.py day2/backup.py`. What it does, costs and leaves: docs/day2/backup.md.
"""

from pyinfra import host

from kubeinfra.operations import snapshots
from kubeinfra.operations.gates import barrier
from kubeinfra.operations.rolling import one_at_a_time
from kubeinfra.run.inventory import cluster
from tasks.preflight import preflight

preflight()
barrier(name="--- all members are reached")
member = cluster().etcd_member(host.name)
if member is not None:
    one_at_a_time(
        [other.machine for other in cluster().etcd_members],
        lambda: snapshots.take(member, name=f"snapshot of {member.name}"),
    )
    snapshots.require_taken(name="one member has given a snapshot")
