"""The operating system: firewall, SELinux, swap, names, kernel, time."""

from __future__ import annotations

from pyinfra.api import deploy

from kubeinfra.components import host as component
from kubeinfra.operations.clock import corrected, is_off
from kubeinfra.operations.files import install
from kubeinfra.operations.system import note, packages, prepare
from kubeinfra.operations.units import converge
from kubeinfra.run.hosts import is_deploy_file
from kubeinfra.run.inventory import cluster
from kubeinfra.run.seen import here
from tasks.preflight import preflight


@deploy("host")
def operating_system() -> None:
    """Every machine of the inventory, whatever its part."""
    me, chrony = here(), component.chrony_unit(here())
    if cluster().settings.time_servers and not component.has_clock_of_its_own(me.seen):
        note("a container has its host's clock; no time daemon is set up")
    install(name="files", describe=component.describe)
    # After their files: a run that is killed in between knows its own chrony again, and goes on with it.
    packages(name="packages", names=component.packages(me), family=me.platform.family)
    prepare(
        name="running system",
        hostname=me.machine.hostname,
        modules=component.MODULES,
        sysctls=component.sysctls(cluster()),
        without_swap=not component.keeps_swap(me),
    )
    if chrony:
        converge(name="chrony", units=[chrony], starts=True)
        if is_off(me.seen):
            corrected(name="clock", servers=cluster().settings.time_servers)


if is_deploy_file(__file__):
    preflight()
    operating_system()
