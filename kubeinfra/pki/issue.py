"""From what a machine has of its certificates to what must be written: issued by the controller's authorities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from kubeinfra.facts.certificates import CertificateState
from kubeinfra.machine.wanted import Change, File, compare
from kubeinfra.pki.certificates import Certificate
from kubeinfra.pki.judge import reasons_to_reissue
from kubeinfra.run.controller import controller
from kubeinfra.run.inventory import cluster

_NOTHING = CertificateState(None, None, "", "")


def certificate_changes(wanted: Sequence[Certificate], found: Mapping[str, CertificateState]) -> list[Change]:
    """What makes the certificates good, judged by the machine's own files; a good one is left alone."""
    return [change for item in wanted for change in _changes(item, found.get(item.certificate_path, _NOTHING))]


def _changes(item: Certificate, found: CertificateState) -> list[Change]:
    """The key before its certificate: a run cut off between them leaves a pair that does not match, and is seen."""
    ca = controller().ca(item.ca)
    now = datetime.now(UTC)
    issued_by = ca.certificate if ca else None
    reasons = reasons_to_reissue(item.spec, issued_by, found.certificate_pem, found.public_key_pem, now)
    if not reasons:
        return _mode_changes(item, found)
    sentence = f"issue {item.certificate_path}: {', '.join(reasons)}"
    if ca is None:
        return [Change(item.certificate_path, sentence, (), f"unknown {item.certificate_path}", "")]
    issued = ca.issue(item.spec, 365 * cluster().settings.certificate_years, now)
    key, certificate = compare(
        [
            File(item.key_path, issued.key_pem, "600", secret=True),
            File(item.certificate_path, issued.certificate_pem),
        ],
        {},
    )
    return [
        Change(item.key_path, f"new key {item.key_path} (secret)", (), key.instruction, ""),
        Change(item.certificate_path, sentence, (), certificate.instruction, ""),
    ]


def _mode_changes(item: Certificate, found: CertificateState) -> list[Change]:
    changes = []
    for path, mode, has in (
        (item.key_path, "600", found.key_mode),
        (item.certificate_path, "644", found.certificate_mode),
    ):
        if has != f"{mode} root:root":
            changes.append(Change(path, f"mode {has} -> {mode} root:root of {path}", (), f"mode {path} {mode}"))
    return changes
