"""nft, with which kube-proxy's nftables mode makes its rules."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.components import host as component
from kubeinfra.operations.system import packages
from kubeinfra.run.hosts import is_deploy_file
from kubeinfra.run.seen import here
from tasks.preflight import preflight


@deploy("nftables")
def nftables() -> None:
    """Only where kube-proxy is to use it; the kernel loads its modules by itself."""
    if "node" in host.groups and component.uses_nftables(here()):
        packages(name="packages", names=here().platform.nftables, family=here().platform.family)


if is_deploy_file(__file__):
    preflight()
    nftables()
