"""
Back up etcd: `pyinfra inventory.py day2/backup.py`. What it does, costs and leaves: docs/day2/backup.md.
"""

from pyinfra import host

from kubeinfra.components import etcd
from kubeinfra.operations import snapshots
from kubeinfra.operations.gates import barrier
from kubeinfra.run.seen import here
from tasks.preflight import preflight

preflight()
barrier(name="--- all members are reached")
if "etcd" in host.groups:
    member = etcd.member(here())
    snapshots.take(name="snapshot", member=member)
    snapshots.require_taken(name="one member has given a snapshot")
