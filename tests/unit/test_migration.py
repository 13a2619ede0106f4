"""A controller's directory made by the code of schema 1: read as it is, migrated by a run, whole at any moment."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from artifact_files import problem
from killing import killed_after

from kubeinfra.controller.directory import COMMON_NAMES, ControllerDirectory
from kubeinfra.controller.identity import Identity, KnownMachine

PROJECT = Path(__file__).resolve().parents[2]
EARLIER = "1da7013"  # the last commit of schema 1
MACHINES = (KnownMachine(name="master01", address=IPv4Address("192.168.80.10")),)

MAKE = """
import sys
from pathlib import Path
from kubeinfra.pki import new_service_account_key
from kubeinfra.state import COMMON_NAMES, ControllerState
state = ControllerState(Path(sys.argv[1]))
for name in COMMON_NAMES:
    state.create_authority(name, 10)
state.create_secret("bootstrap-token", "0123456789abcdef")
state.create_secret("vrrp-password", "hunter2")
state.create_secret("service-account-key", new_service_account_key())
state.write_admin_kubeconfig("kind: Config\\n")
"""


def earlier_code(target: Path) -> None:
    look = ["git", "rev-parse", "--quiet", "--verify", f"{EARLIER}^{{commit}}"]
    if subprocess.run(look, cwd=PROJECT, capture_output=True).returncode != 0:
        pytest.skip(f"no commit {EARLIER} in this checkout, so no code of schema 1 to make a directory with")
    archive = subprocess.run(["git", "archive", EARLIER, "kubeinfra"], cwd=PROJECT, capture_output=True, check=True)
    target.mkdir()
    subprocess.run(["tar", "-x", "-C", str(target)], input=archive.stdout, check=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`.kubeinfra/` of a deployed cluster `demo`, by the earlier code itself."""
    directory = tmp_path_factory.mktemp("schema-1")
    earlier_code(directory / "code")
    command = [sys.executable, "-c", MAKE, str(directory / ".kubeinfra" / "demo")]
    environment = {"PYTHONPATH": str(directory / "code"), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(command, cwd=directory / "code", env=environment, check=True)
    return directory / ".kubeinfra"


@pytest.fixture
def old(made: Path, tmp_path: Path) -> ControllerDirectory:
    shutil.copytree(made, tmp_path / ".kubeinfra")
    return ControllerDirectory(tmp_path / ".kubeinfra" / "demo")


def files(directory: ControllerDirectory) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(directory.directory)): (path.stat().st_mode, path.read_bytes())
        for path in directory.directory.rglob("*")
        if path.is_file()
    }


def kept(directory: ControllerDirectory) -> list[str | None]:
    secrets = directory.secrets()
    return [
        *(text for name in COMMON_NAMES for text in (secrets.bundle(name), secrets.signing_key_pem(name))),
        secrets.service_account_key,
        secrets.bootstrap_token,
        secrets.vrrp_password,
        directory.admin_kubeconfig(),
    ]


def test_it_is_read_as_it_is_and_reading_changes_nothing(old: ControllerDirectory) -> None:
    before = files(old)
    assert "authorities/etcd/ca-key.pem" in before
    assert None not in kept(old)
    assert old.identity() is None
    assert old.pending(MACHINES) == [f"{old.directory}: bring to schema 2, authorities/ becomes ca/"]
    assert old.problems() == []
    assert files(old) == before


def test_the_migration_keeps_every_byte_and_mode(old: ControllerDirectory) -> None:
    before, was = files(old), kept(old)
    old.record_identity(MACHINES)
    after = files(old)
    assert old.identity() == Identity(machines=MACHINES)
    assert after.pop("cluster.json")[0] & 0o777 == 0o600
    assert after == {path.replace("authorities/", "ca/"): content for path, content in before.items()}
    assert not (old.directory / "authorities").exists()
    assert kept(old) == kept(ControllerDirectory(old.directory)) == was
    assert old.pending(MACHINES) == []


@pytest.mark.parametrize("syncs", range(5))
def test_a_migration_killed_at_any_moment_is_finished_by_the_next_run(old: ControllerDirectory, syncs: int) -> None:
    was = kept(old)
    survived = killed_after(syncs, lambda: old.record_identity(MACHINES))
    assert survived == (syncs >= 4), "each moment was tried, and there are no others"
    assert kept(old) == was, "what is left can be read"
    assert old.problems() == []
    old.record_identity(MACHINES)
    assert kept(old) == was
    assert sorted(path.name for path in old.directory.iterdir() if path.name != "admin.kubeconfig") == [
        "ca",
        "cluster.json",
        "secrets",
    ]


def broken(old: ControllerDirectory) -> None:
    (old.directory / "authorities" / "etcd" / "ca.pem").write_text("damaged")


def open_to_others(old: ControllerDirectory) -> None:
    (old.directory / "authorities").chmod(0o755)


@pytest.mark.parametrize("damage", [broken, open_to_others])
def test_damage_is_told_by_its_place_in_schema_1(
    old: ControllerDirectory, damage: Callable[[ControllerDirectory], None]
) -> None:
    damage(old)
    assert any("demo/authorities" in told for told in old.problems())


def test_what_is_missing_is_made_beside_the_old(old: ControllerDirectory) -> None:
    shutil.rmtree(old.directory / "authorities" / "front-proxy")
    made = old.create_ca("front-proxy", 10)
    assert old.secrets().bundle("front-proxy") == made.bundle_pem
    assert old.problems() == []


def test_two_layouts_at_once_are_not_guessed_at(old: ControllerDirectory) -> None:
    shutil.copytree(old.directory / "authorities", old.directory / "ca")
    assert "has both authorities/, of schema 1, and ca/; remove the one" in problem(lambda: old.ca("etcd"))
    assert len(old.problems()) == 1
