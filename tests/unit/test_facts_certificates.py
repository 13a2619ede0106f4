"""Certificates on a machine are read with the public half of their keys; a private key never leaves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from certificate_samples import APISERVER, CLUSTER_CA, NOW
from local_machine import answer, needs_root, shell

from kubeinfra.facts.certificates import CertificateState, CertificateStates
from kubeinfra.facts.files import OnDisk
from kubeinfra.pki.judge import reasons_to_reissue
from kubeinfra.pki.keys import public_key_pem

ISSUED = CLUSTER_CA.issue(APISERVER, 365, NOW)
NOTHING = CertificateState(None, None, "", "")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    certificate, key = tmp_path / "server.pem", tmp_path / "server-key.pem"
    certificate.write_text(ISSUED.certificate_pem)
    key.write_text(ISSUED.key_pem)
    certificate.chmod(0o644)
    key.chmod(0o600)
    return certificate, key


def state(pair: tuple[Path, Path]) -> CertificateState:
    certificate, key = map(str, pair)
    found: CertificateState = answer(CertificateStates(), pairs={certificate: key})[certificate]
    return found


def reasons(found: CertificateState) -> list[str]:
    return reasons_to_reissue(APISERVER, CLUSTER_CA, found.certificate_pem, found.public_key_pem, NOW)


@needs_root
def test_what_was_issued_is_read_back_and_good(pair: tuple[Path, Path]) -> None:
    found = state(pair)
    assert found == CertificateState(
        ISSUED.certificate_pem, public_key_pem(ISSUED.key_pem), "644 root:root", "600 root:root"
    )
    assert reasons(found) == []


def test_the_private_key_stays_where_it_is(pair: tuple[Path, Path]) -> None:
    certificate, key = map(str, pair)
    ran = shell(CertificateStates().command({certificate: key}))
    assert "PRIVATE" not in ran.stdout + ran.stderr
    first, second, *_ = ISSUED.key_pem.splitlines()[1:]  # the third has nothing but the public half
    assert first not in ran.stdout
    assert second not in ran.stdout


def test_a_pair_of_which_nothing_exists_has_empty_values(tmp_path: Path) -> None:
    found = state((tmp_path / "server.pem", tmp_path / "server-key.pem"))
    assert found == NOTHING
    assert reasons(found) == ["missing"]


def test_each_half_may_be_missing_alone(pair: tuple[Path, Path]) -> None:
    certificate, key = pair
    key.unlink()
    assert state(pair).certificate_pem == ISSUED.certificate_pem
    assert state(pair).public_key_pem is None
    key.write_text(ISSUED.key_pem)
    certificate.unlink()
    assert state(pair).certificate_pem is None
    assert state(pair).public_key_pem == public_key_pem(ISSUED.key_pem)


@pytest.mark.parametrize(
    "damage", [b"", b"\x30\x82\x01\xff\xfe", b"key\npair x\n", b"not a certificate, no line's end"]
)
def test_a_damaged_certificate_is_read_and_issued_again(pair: tuple[Path, Path], damage: bytes) -> None:
    """Also one that is no text: bytes that are no UTF-8 would end the run."""
    pair[0].write_bytes(damage)
    found = state(pair)
    assert found.public_key_pem == public_key_pem(ISSUED.key_pem)
    assert reasons(found) in (["missing"], ["not readable as a certificate"])


def test_a_damaged_key_is_seen(pair: tuple[Path, Path]) -> None:
    pair[1].write_text("-----BEGIN PRIVATE KEY-----\nnothing\n-----END PRIVATE KEY-----\n")
    assert state(pair).public_key_pem is None
    assert reasons(state(pair)) != []


def test_a_key_under_a_passphrase_does_not_wait_for_one(pair: tuple[Path, Path]) -> None:
    """The component could not read it either."""
    ran = shell(
        f"openssl pkey -in {pair[1]} -aes256 -passout pass:secret -out {pair[1]}.new && mv {pair[1]}.new {pair[1]}"
    )
    assert ran.returncode == 0, ran.stderr
    assert state(pair).public_key_pem is None


def test_several_pairs_are_told_apart(pair: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = map(str, pair)
    missing = f"{tmp_path}/missing.pem"
    found = answer(CertificateStates(), pairs={missing: f"{tmp_path}/missing-key.pem", certificate: key})
    assert found[missing] == NOTHING
    assert reasons(found[certificate]) == []


def test_files_and_certificates_are_read_in_one_command(pair: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = map(str, pair)
    (tmp_path / "f").write_text("=== certificates\n")
    arguments: dict[str, Any] = {"paths": [f"{tmp_path}/f", f"{tmp_path}/no"], "shown": {f"{tmp_path}/f": ""}}
    files, certificates = answer(OnDisk(), **arguments, pairs={certificate: key})
    assert {path: state.text for path, state in files.items()} == {f"{tmp_path}/f": "=== certificates\n"}
    assert reasons(certificates[certificate]) == []
    assert answer(OnDisk(), **arguments, pairs={}) == (files, {})
