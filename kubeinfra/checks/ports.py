"""Whether the ports in the settings are free on machines that are in more than one group."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.cluster.consistency import with_addresses
from kubeinfra.components.ports import ports


def ports_do_not_collide(cluster: Cluster, where: Callable[[str], str]) -> Iterator[str]:
    """The ports of the API server and of the load balancer, against those of every other component."""
    settings = cluster.settings
    for setting, port, group, taken_by in (
        ("load_balancer_port", settings.load_balancer_port, "lb", ("master", "node", "etcd")),
        ("apiserver_port", settings.apiserver_port, "master", ("node", "etcd")),
    ):
        for other in taken_by:
            both = [machine for machine in cluster.group(group) if other in machine.groups]
            for taken in ports(cluster)[other] if both else ():
                if taken.protocol == "tcp" and taken.number == port:
                    yield (
                        f"{where(setting)}: {setting} {port} is the port of {taken.listener} on "
                        f"{with_addresses(both)}, "
                        f"where {group} and {other} are the same machine; take another, such as 8443"
                    )
