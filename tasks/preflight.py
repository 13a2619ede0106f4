"""What is checked before anything is changed: sound settings, root, systemd, and CAs that match the controller's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyinfra import host, state
from pyinfra.api import Host
from pyinfra.api.exceptions import PyinfraError

from kubeinfra.checks.cgroups import cgroup_findings
from kubeinfra.checks.identity import etcd_cluster_findings, identity_findings
from kubeinfra.checks.machine import machine_findings
from kubeinfra.checks.platform import platform_warnings
from kubeinfra.checks.secrets import needed_secrets, secret_findings
from kubeinfra.checks.trust import trust_findings
from kubeinfra.controller.identity import known
from kubeinfra.errors import KubeinfraError
from kubeinfra.facts.machine import MachineFacts
from kubeinfra.findings import Finding
from kubeinfra.machine.state import MachineState
from kubeinfra.operations.controller import require_exclusive_run
from kubeinfra.pki.secrets import SECRET_NAMES
from kubeinfra.run.context import run
from kubeinfra.run.controller import controller, identity, secrets
from kubeinfra.run.hosts import is_lead_host
from kubeinfra.run.inventory import as_pyinfra_error, cluster
from kubeinfra.run.plan import note_finding
from kubeinfra.run.seen import look_at


def preflight(changes: bool = True) -> None:
    """
    Read the host of this run. If anything cannot work, the run ends here, with the errors of all hosts in one message.

    + changes: whether the run may change machines, which only one run may do at a time
    """
    cluster()
    if changes:
        require_exclusive_run(name="preflight | no other run is at work")
    found = _look_at_it()
    run().machines[host.name] = found
    for warning in cgroup_findings(cluster(), cluster().machine(host.name), found):
        note_finding(warning)
    if _findings(host.name, found):
        _refuse(_findings, [one for one in state.inventory if one in state.active_hosts])
    for warning in platform_warnings(cluster().machine(host.name), found):
        note_finding(warning)


def _look_at_it() -> MachineState:
    """Run the first command on a machine; if it fails, the run ends with what to do about it."""
    reason = "commands do not run there as they should, the reason is above"
    try:
        if found := host.get_fact(MachineFacts):
            return found
    except EOFError:
        reason = "sudo asks for a password, and there is no terminal to type it on"
    except PyinfraError as error:
        if "askpass" in str(error):  # any other reason pyinfra has shown
            reason = str(error)
    raise PyinfraError(f"\n{host.name}: {reason}; `ssh` to it and `sudo id` must work (docs/when-it-fails.md, 1)")


def _findings(name: str, found: MachineState) -> list[Finding]:
    return [*machine_findings(cluster(), cluster().machine(name), found), *_kept_findings(name, found)]


def _kept_findings(name: str, found: MachineState) -> list[Finding]:
    """Whether the controller's CAs and secrets can be used, and match those on this machine."""
    try:
        kept, of = secrets(), identity()
    except KubeinfraError as error:
        return [Finding("controller", "", "error", problem) for problem in error.problems]
    if others := identity_findings(of, known(cluster().machines), controller().identity_path):
        return others
    directory, file = controller().directory, controller().identity_path
    given = [secret for secret in SECRET_NAMES if kept.secret(secret) is not None]
    return [
        *etcd_cluster_findings(name, of, found.etcd_cluster, file),
        *trust_findings(name, found.cas, kept.cas, directory),
        *secret_findings(cluster(), cluster().machine(name), found, given, directory),
    ]


def _refuse(judge: Callable[[str, MachineState], list[Finding]], hosts: Sequence[Host]) -> None:
    """End the run with the errors of all these hosts, if there are any."""
    look_at(hosts)
    machines = run().machines
    every = [finding for one in hosts if one.name in machines for finding in judge(one.name, machines[one.name])]
    if every:
        raise PyinfraError("\n" + "\n".join(dict.fromkeys(finding.sentence() for finding in every)))


def check_absent_machines() -> None:
    """Before a CA or a secret is created: machines that --limit leaves out of this run may have one already."""
    if not is_lead_host():
        return
    with as_pyinfra_error():
        kept = secrets()
    if not all([*kept.cas.values(), *map(kept.secret, needed_secrets(cluster()))]):
        _refuse(_kept_findings, [other for other in state.inventory if other not in state.activated_hosts])
