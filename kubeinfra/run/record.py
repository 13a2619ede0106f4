"""From what a run has done to its record."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal

from cryptography import x509
from pyinfra import logger
from pyinfra.api import State
from pyinfra.api.operation import OperationMeta

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.components.etcd import members
from kubeinfra.controller.arguments import masked
from kubeinfra.controller.origin import commit, user_and_host
from kubeinfra.controller.records import Certificate, HealthRow, Operation, Result, RunMachine, RunRecord
from kubeinfra.controller.run_records import RunRecords
from kubeinfra.run.context import Run
from kubeinfra.run.controller import ROOT, controller, secrets
from kubeinfra.run.inventory import cluster
from kubeinfra.run.journal import Worked

NOTABLE = 1  # seconds from which an operation that changed nothing is kept too


def keep(state: State, this: Run, result: Result, message: str) -> str:
    """Write the record of a run that has ended. Gives its path; KubeinfraError if it cannot be written."""
    records = RunRecords(controller().directory, logger.warning)
    return str(records.write(_record(state, this, result, message)))


def _record(state: State, this: Run, result: Result, message: str) -> RunRecord:
    found = cluster()
    member_names = _member_names(found, this)
    return RunRecord(
        cluster=found.settings.cluster_name,
        kubernetes=found.settings.kubernetes_version,
        endpoint=found.endpoint,
        virtual_address=str(found.settings.virtual_ip) if found.load_balancers else None,
        started=this.journal.began,
        ended=datetime.now(UTC),
        by=user_and_host(),
        commit=commit(ROOT),
        arguments=masked(sys.argv[1:]),
        result=result,
        message=message,
        machines=tuple(
            RunMachine(
                name=one.name,
                address=str(one.address),
                hostname=one.hostname,
                groups=tuple(sorted(one.groups)),
                arch=seen.arch if (seen := this.machines.get(one.name)) else None,
                etcd_member=member_names.get(one.name, ""),
            )
            for one in found.machines
        ),
        phases=tuple(this.journal.phases),
        operations=tuple(_operations(state, this)),
        changes=tuple(this.journal.changes),
        restarts=tuple(this.journal.restarts),
        findings=tuple(this.journal.findings),
        health=tuple(
            HealthRow(component=row.component, subject=row.subject, healthy=row.healthy, detail=row.detail)
            for rows in this.health.values()
            for row in rows
        ),
        certificates=tuple(_certificates(this)),
    )


def _member_names(found: Cluster, this: Run) -> dict[str, str]:
    """Machine -> its member of etcd; empty if the run has not looked at all of them, as nobody knows who has which."""
    if not all(one.name in this.machines for one in found.etcd_machines):
        return {}
    return {one.machine.name: one.name for one in members(found, this.machines)}


def _operations(state: State, this: Run) -> Iterator[Operation]:
    """Those that changed something, failed or took long: the others are thousands on many machines."""
    hosts = {host.name: host for host in state.inventory}
    for (operation, machine), worked in this.journal.worked.items():
        outcome = _outcome(state.ops[hosts[machine]][operation].operation_meta)
        seconds = _seconds(worked)
        if outcome != "unchanged" or seconds >= NOTABLE:
            yield Operation(
                name=worked.operation, machine=machine, began=worked.began, seconds=seconds, outcome=outcome
            )


def _outcome(meta: OperationMeta) -> Literal["changed", "unchanged", "failed"]:
    if not meta.did_succeed(_raise_if_not_complete=False):
        return "failed"
    return "changed" if meta.did_change() else "unchanged"


def _seconds(worked: Worked) -> float:
    return round(((worked.ended or datetime.now(UTC)) - worked.began).total_seconds(), 3)


def _certificates(this: Run) -> Iterator[Certificate]:
    for name, ca in secrets().cas.items():
        if ca:
            yield _certificate("", f"CA {name}", ca.certificate)
    for (machine, path), pem in this.journal.certificates.items():
        with suppress(ValueError):  # a damaged one, which a later run would reissue
            yield _certificate(machine, path, x509.load_pem_x509_certificate(pem.encode()))


def _certificate(machine: str, path: str, found: x509.Certificate) -> Certificate:
    return Certificate(
        machine=machine,
        path=path,
        subject=found.subject.rfc4514_string(),
        issuer=found.issuer.rfc4514_string(),
        ends=found.not_valid_after_utc,
    )
