"""A CA is a set of trusted certificates, one of which signs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from certificate_samples import ADMIN, ADMIN_CERTIFICATE, CLUSTER_CA, NOW, OTHER_CA, reasons

from kubeinfra.controller.directory import ControllerDirectory
from kubeinfra.errors import KubeinfraError
from kubeinfra.pki.ca import CA, certificates_in
from kubeinfra.pki.keys import new_service_account_key, public_key_pem
from kubeinfra.pki.secrets import CA_NAMES, SECRET_NAMES, ClusterSecrets
from kubeinfra.run import controller as run

OLD = CA.create("etcd-ca", 10, NOW - timedelta(days=300))
NEW = CA.create("etcd-ca", 10, NOW)
BOTH = replace(NEW, others=(OLD.certificate,))


def test_the_bundle_of_one_is_its_certificate_byte_for_byte() -> None:
    assert OLD.bundle_pem == OLD.signing_pem == CA.load(OLD.signing_pem, OLD.key_pem, "here", NOW).bundle_pem
    assert OLD.trusted == (OLD.certificate,)


def test_the_bundle_is_the_same_whichever_of_the_set_signs() -> None:
    assert BOTH.bundle_pem == replace(OLD, others=(NEW.certificate,)).bundle_pem == OLD.signing_pem + NEW.signing_pem
    assert replace(NEW, others=(OLD.certificate, NEW.certificate, OLD.certificate)).trusted == BOTH.trusted
    assert certificates_in(BOTH.bundle_pem) == [OLD.certificate, NEW.certificate]
    assert BOTH.signing_pem == NEW.signing_pem


@pytest.mark.parametrize("issuer", [OLD, NEW, BOTH])
def test_openssl_trusts_what_either_has_issued(issuer: CA, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(BOTH.bundle_pem)
    (tmp_path / "leaf.pem").write_text(issuer.issue(ADMIN, 365, NOW).certificate_pem)
    command = ["openssl", "verify", "-CAfile", str(tmp_path / "ca.pem"), str(tmp_path / "leaf.pem")]
    assert subprocess.run(command, capture_output=True).returncode == 0


def test_a_certificate_of_a_ca_that_is_only_trusted_is_issued_again_by_the_one_that_signs() -> None:
    issued = OLD.issue(ADMIN, 365, NOW)
    assert reasons(ADMIN, issued, OLD) == []
    assert reasons(ADMIN, issued, BOTH) == ["issued by a CA that is still trusted, but signs no longer"]
    assert reasons(ADMIN, issued, NEW) == ["issued by another CA"]
    assert reasons(ADMIN, NEW.issue(ADMIN, 365, NOW), BOTH) == []


def test_a_set_is_read_from_its_files() -> None:
    read = CA.load(NEW.signing_pem, NEW.key_pem, "here", NOW, {"trusted/a.pem": OLD.signing_pem + NEW.signing_pem})
    assert (read.trusted, read.certificate) == (BOTH.trusted, NEW.certificate)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"here/trusted/a\.pem: is not a readable certificate"),
        (OLD.signing_pem[:200], r"here/trusted/a\.pem: is not a readable certificate"),
        (OLD.signing_pem + ADMIN_CERTIFICATE.certificate_pem, r"here/trusted/a\.pem: .*not the certificate of a CA"),
    ],
)
def test_an_unusable_trusted_certificate_is_an_error_that_names_the_file(text: str, message: str) -> None:
    with pytest.raises(KubeinfraError, match=message):
        CA.load(NEW.signing_pem, NEW.key_pem, "here", NOW, {"trusted/a.pem": text})


# --- what all machines share, as one value


FULL = ClusterSecrets(
    cas={"etcd": BOTH, "kubernetes": CLUSTER_CA, "front-proxy": OTHER_CA},
    service_account_key=new_service_account_key(),
    bootstrap_token="0123456789abcdef",
    vrrp_password="hunter2",
)


def test_secrets_are_told_by_name() -> None:
    assert FULL.bundle("etcd") == BOTH.bundle_pem
    assert FULL.signing_pem("etcd") == NEW.signing_pem
    assert FULL.signing_key_pem("etcd") == NEW.key_pem
    assert [FULL.has_one_certificate(name) for name in CA_NAMES] == [False, True, True]
    assert [FULL.secret(name) for name in SECRET_NAMES] == [FULL.service_account_key, "0123456789abcdef", "hunter2"]
    assert FULL.service_account_key is not None
    assert FULL.service_account_public_key == public_key_pem(FULL.service_account_key)


def test_a_new_cluster_has_none() -> None:
    none = ClusterSecrets()
    assert {none.bundle(name) for name in CA_NAMES} == {none.secret(name) for name in SECRET_NAMES} == {None}
    assert none.signing_pem("etcd") is none.signing_key_pem("etcd") is none.service_account_public_key is None


def test_no_secret_shows_when_they_are_printed() -> None:
    assert f"{FULL!r}" == "ClusterSecrets()"


class Counting(ControllerDirectory):
    """Counts how often each CA was read."""

    reads = 0

    def secrets(self) -> ClusterSecrets:
        self.reads += 1
        return super().secrets()


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    directory = Counting(tmp_path / ".kubeinfra" / "demo")
    monkeypatch.setattr(run, "controller", lambda: directory)
    yield directory
    run._secrets.cache_clear()


def test_a_run_reads_the_secrets_once_and_again_when_it_has_made_some(directory: Counting) -> None:
    assert [run.secrets().cas["etcd"] for _ in range(3)] == [None] * 3
    assert directory.reads == 1
    made = directory.create_ca("etcd", 10)
    directory.create_secret("bootstrap-token", "abc")
    for _ in range(3):
        assert run.secrets().bundle("etcd") == made.bundle_pem
        assert run.secrets().bootstrap_token == "abc"
    assert directory.reads == 2


def test_secrets_that_cannot_be_read_are_all_named(directory: Counting) -> None:
    directory.create_ca("etcd", 10)
    directory.create_ca("kubernetes", 10)
    for path in directory.directory.rglob("ca.pem"):
        path.write_text("damaged")
    with pytest.raises(KubeinfraError) as caught:
        run.secrets()
    assert [problem.partition(": ")[0].split("/")[-2] for problem in caught.value.problems] == ["etcd", "kubernetes"]
