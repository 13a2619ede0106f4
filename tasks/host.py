"""The operating system: firewall, SELinux, swap, names, kernel, time."""

from __future__ import annotations

from pyinfra.api import deploy

from kubeinfra.facts.machine import CHRONY_MARK
from kubeinfra.inventory import cluster
from kubeinfra.operations.files import install
from kubeinfra.operations.system import packages, prepare, tell
from kubeinfra.operations.units import Unit, restart_if_stale, start
from kubeinfra.render import template
from kubeinfra.system import (
    MODULES,
    PACKAGES,
    fstab_without_swap,
    hosts_file,
    modules_conf,
    selinux_config,
    sysctl_conf,
    sysctls,
)
from kubeinfra.tasks import is_deploy_file, this_machine
from kubeinfra.wanted import Edit, File
from tasks.preflight import machine_state, preflight


@deploy("host")
def operating_system() -> None:
    """Every machine of the inventory, whatever its part."""
    hostname = this_machine().hostname
    wanted = sysctls(cluster())
    packages(PACKAGES[machine_state().family], machine_state().family, name="packages")
    install(
        [
            Edit("/etc/hosts", lambda text: hosts_file(text, cluster()), in_place=True),
            Edit("/etc/hostname", lambda _: f"{hostname}\n", in_place=True),
            Edit("/etc/fstab", fstab_without_swap, create=False),
            Edit("/etc/selinux/config", selinux_config, create=False),
            File("/etc/modules-load.d/kubernetes.conf", modules_conf(MODULES)),
            File("/etc/sysctl.d/99-kubernetes.conf", sysctl_conf(wanted)),
        ],
        name="files",
    )
    prepare(hostname, MODULES, wanted, name="running system")
    clock()


def clock() -> None:
    """Certificates and etcd need clocks that agree. A time daemon that others set up is left alone."""
    servers = cluster().settings.time_servers
    machine = machine_state()
    if not servers or machine.keeps_time:
        return
    if machine.container:
        tell("a container has its host's clock; no time daemon is set up")
        return
    unit, path = (
        ("chrony", "/etc/chrony/chrony.conf") if machine.family == "debian" else ("chronyd", "/etc/chrony.conf")
    )
    packages(["chrony"], machine.family, name="chrony")
    install(
        [
            File(path, template("host/chrony.conf.j2", mark=CHRONY_MARK, servers=servers)),
            File(
                f"/etc/systemd/system/{unit}.service.d/kubeinfra.conf",
                template("inputs.conf.j2", unit=f"{unit}.service", inputs=[path]),
            ),
        ],
        name="chrony files",
    )
    start([Unit(f"{unit}.service")], name="start chrony")
    restart_if_stale([Unit(f"{unit}.service")], name="restart chrony where its configuration changed")


if is_deploy_file(__file__):
    preflight()
    operating_system()
