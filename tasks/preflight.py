"""What is checked before anything is changed; alone, it only reads, and shows what was found of all machines."""

from __future__ import annotations

from pyinfra import state

from kubeinfra.checks.secrets import needed_secrets
from kubeinfra.operations.controller import require_exclusive_run
from kubeinfra.run.controller import secrets
from kubeinfra.run.hosts import is_deploy_file, is_lead_host
from kubeinfra.run.inventory import as_pyinfra_error, cluster
from kubeinfra.run.preflight import judge, judge_absent, summarise


def preflight(changes: bool = True) -> None:
    """
    Read the hosts of this run. If anything cannot work, the run ends here, with the errors of all hosts in one message.

    + changes: whether the run may change machines, which only one run may do at a time
    """
    cluster()
    if changes:
        require_exclusive_run(name="preflight | no other run is at work")
    judge()


def check_absent_machines() -> None:
    """Before a CA or a secret is created: machines that --limit leaves out of this run may have one already."""
    if not is_lead_host():
        return
    with as_pyinfra_error():
        kept = secrets()
    if not all([*kept.cas.values(), *map(kept.secret, needed_secrets(cluster()))]):
        judge_absent([other for other in state.inventory if other not in state.activated_hosts])


if is_deploy_file(__file__):
    preflight(changes=False)
    if is_lead_host():
        summarise()
