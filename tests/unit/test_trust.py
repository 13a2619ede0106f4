"""A machine of another cluster is distinguished from one that is only behind or ahead of a rotation."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from certificate_samples import NOW
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from kubeinfra.checks.trust import trust_findings
from kubeinfra.pki.ca import CA
from kubeinfra.pki.spec import CAName

OLD = CA.create("etcd-ca", 10, NOW - timedelta(days=300))
NEW = CA.create("etcd-ca", 10, NOW)
FOREIGN = CA.create("etcd-ca", 10, NOW)
BOTH = replace(NEW, others=(OLD.certificate,))
DIRECTORY = Path("/srv/.kubeinfra/demo")


def renewed(ca: CA) -> CA:
    """As `openssl x509 -signkey` makes it of an expired one."""
    old = ca.certificate
    builder = x509.CertificateBuilder(old.subject, old.subject, old.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=4000))
    return CA(builder.sign(ca.key, hashes.SHA256()), ca.key)


def messages(trusted: str, ours: CA | None, name: CAName = "etcd") -> list[str]:
    cas: dict[CAName, CA | None] = {"etcd": None, "kubernetes": None, "front-proxy": None, name: ours}
    return [finding.sentence() for finding in trust_findings("m1", {name: trusted}, cas, DIRECTORY)]


@pytest.mark.parametrize(
    ("trusted", "ours"),
    [
        pytest.param(OLD, OLD, id="the same"),
        pytest.param(OLD, BOTH, id="behind: it gets the new one in this run"),
        pytest.param(BOTH, OLD, id="ahead: a controller's directory of before a rotation"),
        pytest.param(BOTH, NEW, id="it trusts one that was given up"),
        pytest.param(OLD, renewed(OLD), id="renewed with its own key"),
    ],
)
def test_one_certificate_in_common_is_enough(trusted: CA, ours: CA) -> None:
    assert messages(trusted.bundle_pem, ours) == []


@pytest.mark.parametrize("name", ["etcd", "kubernetes", "front-proxy"])
def test_a_machine_of_another_cluster_is_named_with_both_sides(name: CAName) -> None:
    remedy = "Bring that directory from the controller that set the cluster up; a second CA would cut it off"
    start = f"m1: trusts CA {name} {FOREIGN.fingerprint}; {DIRECTORY} has"
    assert messages(FOREIGN.bundle_pem, OLD, name) == [f"{start} another one, {OLD.fingerprint}. {remedy}"]
    assert messages(FOREIGN.bundle_pem, None, name) == [f"{start} none. {remedy}"]
    both = f"{start} another one, {OLD.fingerprint} and {NEW.fingerprint}. {remedy}"
    assert messages(FOREIGN.bundle_pem, BOTH, name) == [both]


def test_all_certificates_of_a_bundle_are_read() -> None:
    assert messages(FOREIGN.signing_pem + OLD.signing_pem, OLD) == []
    [message] = messages(BOTH.bundle_pem, FOREIGN)
    assert f"trusts CA etcd {OLD.fingerprint} and {NEW.fingerprint}; " in message


@pytest.mark.parametrize("damaged", ["", "damaged", OLD.signing_pem[:200], OLD.signing_pem.replace("M", "N")])
def test_a_damaged_certificate_is_replaced_and_does_not_hide_the_rest(damaged: str) -> None:
    assert messages(damaged, OLD) == []
    assert messages(damaged + "\n" + OLD.signing_pem, OLD) == []
    assert len(messages(damaged + "\n" + FOREIGN.signing_pem, OLD)) == 1


def test_a_machine_that_trusts_nothing_is_welcome() -> None:
    assert trust_findings("m1", {}, {"etcd": OLD, "kubernetes": None, "front-proxy": None}, DIRECTORY) == []
