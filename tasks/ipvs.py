"""Kernel modules for kube-proxy's ipvs mode, loaded now and at boot."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.components import host as component
from kubeinfra.operations.files import install
from kubeinfra.operations.system import load_modules, packages
from kubeinfra.run.hosts import is_deploy_file
from kubeinfra.run.seen import here
from tasks.preflight import preflight

FALLBACK = "kube-proxy falls back to iptables up to Kubernetes 1.25, and does not start from 1.26 on"


@deploy("ipvs")
def ipvs() -> None:
    """Only where kube-proxy is to use it; else they are loaded at boot no longer."""
    if "node" not in host.groups:
        return
    uses_ipvs = component.uses_ipvs(here())
    if uses_ipvs:
        packages(name="packages", names=here().platform.ipvs, family=here().platform.family)
    install(name="files", describe=component.describe_ipvs)
    if uses_ipvs:
        load_modules(name="modules", modules=component.ipvs_modules(here()), missing=FALLBACK)


if is_deploy_file(__file__):
    preflight()
    ipvs()
