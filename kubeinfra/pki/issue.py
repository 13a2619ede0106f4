"""Compares the certificates on a machine with those that it needs. Pure: the CAs and the time are arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from kubeinfra.machine.state import CertificateState
from kubeinfra.machine.wanted import Change, set_mode, unknown, write
from kubeinfra.pki.ca import CA
from kubeinfra.pki.certificates import Certificate
from kubeinfra.pki.judge import reasons_to_reissue
from kubeinfra.pki.spec import CAName

_NOTHING = CertificateState(None, None, "", "")


def certificate_changes(
    wanted: Sequence[Certificate],
    found: Mapping[str, CertificateState],
    cas: Mapping[CAName, CA | None],
    years: int,
    now: datetime,
) -> list[Change]:
    """
    The changes that give the machine valid certificates, decided from its own files; a valid one stays.

    + found: certificate path -> the files on the machine
    + cas: the CAs that issue them; None for a CA that only the run will create
    + years: lifetime of a new certificate; + now: an aware datetime
    """
    return [
        change
        for item in wanted
        for change in _changes(item, found.get(item.certificate_path, _NOTHING), cas[item.ca], years, now)
    ]


def _changes(item: Certificate, found: CertificateState, ca: CA | None, years: int, now: datetime) -> list[Change]:
    """The key before its certificate: if a run ends between them, the pair does not match, and the next run sees it."""
    reasons = reasons_to_reissue(item.spec, ca, found.certificate_pem, found.public_key_pem, now)
    if not reasons:
        return _mode_changes(item, found)
    sentence = f"issue {item.certificate_path}: {', '.join(reasons)}"
    if ca is None:
        return [Change(item.certificate_path, sentence, (), unknown(item.certificate_path), "")]
    issued = ca.issue(item.spec, 365 * years, now)
    key = write(item.key_path, "600", issued.key_pem)
    certificate = write(item.certificate_path, "644", issued.certificate_pem)
    return [
        Change(item.key_path, f"new key {item.key_path} (secret)", (), key, ""),
        Change(item.certificate_path, sentence, (), certificate, "", issued.certificate_pem),
    ]


def _mode_changes(item: Certificate, found: CertificateState) -> list[Change]:
    changes = []
    for path, wanted, has in (
        (item.key_path, "600", found.key_mode),
        (item.certificate_path, "644", found.certificate_mode),
    ):
        if has != f"{wanted} root:root":
            changes.append(Change(path, f"mode {has} -> {wanted} root:root of {path}", (), set_mode(path, wanted)))
    return changes
