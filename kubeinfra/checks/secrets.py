"""Whether the controller still has the secrets that the machines share."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.findings import Finding
from kubeinfra.machine.state import MachineState
from kubeinfra.pki.secrets import SECRET_NAMES, SecretName


def needed_secrets(cluster: Cluster) -> list[SecretName]:
    """
    The secrets that the controller creates: a VRRP password for load balancers without the setting, and a bootstrap
    token that does not end; one that does is made by the run that needs it.
    """
    is_given = cluster.settings.vrrp_password or not cluster.load_balancers
    others = {"vrrp-password": is_given, "bootstrap-token": cluster.bootstrap_tokens == "secret"}
    return [name for name in SECRET_NAMES if not others.get(name)]


def secret_findings(
    cluster: Cluster, machine: Machine, found: MachineState, kept: Collection[SecretName], directory: Path
) -> list[Finding]:
    """
    An error for each shared secret that the machine has and the controller has lost.

    A new service account key would cut off every pod; a new token or password, every machine that has the old one.

    + kept: the secrets in the controller's directory
    """
    return [
        Finding(
            "secrets",
            machine.name,
            "error",
            f"has the cluster's {secret}, but {directory} does not",
            remedy="restore that directory from a backup, or bring it from the controller that set the cluster up",
        )
        for secret in needed_secrets(cluster)
        if secret in found.secrets and secret not in kept
    ]
