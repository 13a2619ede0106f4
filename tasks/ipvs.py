"""Kernel modules for kube-proxy's ipvs mode, loaded now and at boot."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.machine.edits import ipvs_modules, modules_conf
from kubeinfra.machine.wanted import File
from kubeinfra.operations.files import install
from kubeinfra.operations.system import load_modules, packages
from kubeinfra.run.hosts import is_deploy_file
from kubeinfra.run.inventory import cluster
from tasks.preflight import machine_state, preflight

FALLBACK = "kube-proxy falls back to iptables up to Kubernetes 1.25, and does not start from 1.26 on"


@deploy("ipvs")
def ipvs() -> None:
    """Only where kube-proxy is to use it."""
    settings = cluster().settings
    if "node" not in host.groups or settings.kube_proxy_mode != "ipvs":
        return
    modules = ipvs_modules(settings.ipvs_scheduler)
    packages(["ipset", "ipvsadm"], machine_state().family, name="packages")
    install([File("/etc/modules-load.d/ipvs.conf", modules_conf(modules))], name="files")
    load_modules(modules, FALLBACK, name="modules")


if is_deploy_file(__file__):
    preflight()
    ipvs()
