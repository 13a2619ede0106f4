"""
What the controller keeps: the CAs, and the secrets that several machines share.

    .kubeinfra/<cluster>/              0700
        cluster.json                   0600, the schema and which cluster this is of: kubeinfra/controller/identity.py
        ca/<name>/ca.pem, ca-key.pem   what signs; one directory each, so that both files appear together
        ca/<name>/trusted/*.pem        what is trusted too, before and after another one begins to sign
        secrets/<name>                 0600
        admin.kubeconfig               0600
        backups/, runs/                snapshots of etcd, records of runs
        run.lock                       held by the run that is at work

Schema 1 had no cluster.json, and `authorities/` for `ca/`. Either is read; a run brings it to this schema.

Reading creates nothing. Something that exists and cannot be used is an error; only what is completely absent is
None, and only that may be created: a CA created a second time would cut off every machine that trusts the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from kubeinfra.atomic import hold_lock, locked, move, sync, whole_directory, write_whole
from kubeinfra.controller import identity as identities
from kubeinfra.controller.identity import Identity, KnownMachine
from kubeinfra.controller.private import RESTORE, check_directory, exists, read_private, read_text
from kubeinfra.errors import KubeinfraError, file_errors
from kubeinfra.pki.ca import CA, CERTIFICATE_FILE, KEY_FILE, RESTORE_CA
from kubeinfra.pki.keys import public_key_pem
from kubeinfra.pki.secrets import CA_NAMES, ClusterSecrets, SecretName
from kubeinfra.pki.spec import CAName

COMMON_NAMES: dict[CAName, str] = {
    "etcd": "etcd-ca",
    "kubernetes": "kubernetes-ca",
    "front-proxy": "kubernetes-front-proxy-ca",
}

T = TypeVar("T")


class ControllerDirectory:
    """
    The controller's directory of one cluster; it need not exist yet.

    Every method raises KubeinfraError, naming the file and what to do, for what is damaged, unreadable, or
    open to other users.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.created = 0
        """How often this object has changed something: what was read before may be out of date since."""

    @property
    def admin_kubeconfig_path(self) -> Path:
        return self.directory / "admin.kubeconfig"

    @property
    def identity_path(self) -> Path:
        return self.directory / identities.FILE

    def identity(self) -> Identity | None:
        """Which cluster this is of; None for a new one, and for a directory of schema 1."""
        if not exists(self.directory):
            return None
        check_directory(self.directory)
        if not exists(self.identity_path):
            return None
        return identities.parse(read_text(self.identity_path, RESTORE), self.identity_path)

    def pending(self, machines: tuple[KnownMachine, ...]) -> list[str]:
        """What record_identity would do with these machines, a sentence each; none for a new cluster."""
        before = self.identity()
        told = []
        if exists(self._schema_1_cas):
            told.append(f"{self.directory}: bring to schema {identities.SCHEMA}, authorities/ becomes ca/")
        if before and before.machines != machines:
            told.append(f"{self.identity_path}: keep this inventory's {len(machines)} machines")
        return told

    def record_identity(
        self, machines: tuple[KnownMachine, ...] | None = None, etcd_cluster_id: str | None = None
    ) -> None:
        """Bring the directory to this schema, and keep what is given; None leaves what is there."""
        given = {"machines": machines, "etcd_cluster_id": etcd_cluster_id}
        self._update_identity({key: value for key, value in given.items() if value is not None})

    def forget_etcd_cluster(self) -> None:
        """Before a restore, which makes a new etcd cluster with another id."""
        self._update_identity({"etcd_cluster_id": None})

    def hold_run_lock(self) -> int:
        """
        Keep other runs on this cluster away for as long as this process lives; gives the open file with the lock.

        KubeinfraError if one is at work.
        """
        path = self.directory / "run.lock"
        with self._writing(path):
            try:
                return hold_lock(path)
            except BlockingIOError:
                raise KubeinfraError(
                    f"another run on {self.directory} is at work; wait until it has ended, and run again"
                ) from None

    def ca(self, name: CAName) -> CA | None:
        """The CA, or None if nothing exists under its name."""
        path = self._ca_path(name)
        if not self._is_there(path):
            return None
        check_directory(path)
        certificate = read_text(path / CERTIFICATE_FILE, RESTORE_CA)
        key = read_private(path / KEY_FILE, RESTORE_CA)
        return CA.load(certificate, key, str(path), trusted=_trusted(path))

    def create_ca(self, name: CAName, years: int) -> CA:
        """Create a CA, safely on disk when this returns; KubeinfraError if anything exists under its name."""
        path = self._ca_path(name)
        with self._creating(path):
            ca = CA.create(COMMON_NAMES[name], years)
            with whole_directory(path) as part:
                write_whole(part / CERTIFICATE_FILE, ca.signing_pem, 0o600)
                write_whole(part / KEY_FILE, ca.key_pem, 0o600)
        return ca

    def secret(self, name: SecretName) -> str | None:
        """The secret as given to create_secret, or None if it was never created."""
        path = self._secret_path(name)
        if not self._is_there(path):
            return None
        value = read_private(path, RESTORE)
        if not value.strip():
            raise KubeinfraError(f"{path}: is empty; {RESTORE}")
        if name == "service-account-key":
            public_key_pem(value, str(path))
        # An editor ends a one-line secret with a line break, which is not part of the secret.
        return value if value.count("\n") > 1 else value.removesuffix("\n")

    def create_secret(self, name: SecretName, value: str) -> None:
        """Store a new secret, safely on disk when this returns; KubeinfraError if anything exists under its name."""
        path = self._secret_path(name)
        with self._creating(path):
            write_whole(path, value, 0o600)

    def admin_kubeconfig(self) -> str | None:
        """The administrator's kubeconfig, or None before the first deploy."""
        path = self.admin_kubeconfig_path
        return read_private(path, "remove it: the next run writes a new one") if self._is_there(path) else None

    def write_admin_kubeconfig(self, text: str) -> None:
        """Replaces an older one."""
        with self._writing(self.admin_kubeconfig_path):
            write_whole(self.admin_kubeconfig_path, text, 0o600)

    def secrets(self) -> ClusterSecrets:
        """Everything that machines share, read once; KubeinfraError with a line for each thing that cannot be used."""
        problems: list[str] = []

        def read(one: Callable[[], T]) -> T | None:
            try:
                return one()
            except KubeinfraError as error:
                problems.extend(error.problems)
                return None

        found = ClusterSecrets(
            cas={name: read(partial(self.ca, name)) for name in CA_NAMES},
            service_account_key=read(partial(self.secret, "service-account-key")),
            bootstrap_token=read(partial(self.secret, "bootstrap-token")),
            vrrp_password=read(partial(self.secret, "vrrp-password")),
        )
        read(self.admin_kubeconfig)
        if problems:
            raise KubeinfraError(*dict.fromkeys(problems))  # an open directory is found by each read below it
        return found

    def problems(self) -> list[str]:
        """A line for each thing here that cannot be used; none for a new cluster. Changes nothing."""
        try:
            self.secrets()
        except KubeinfraError as error:
            return list(error.problems)
        return []

    def _update_identity(self, given: Mapping[str, object]) -> None:
        def wanted() -> Identity:
            return (self.identity() or Identity()).model_copy(update=given)

        if self.identity() == wanted() and not exists(self._schema_1_cas):
            return
        with self._writing(self.identity_path):
            if exists(self._schema_1_cas):
                move(self._schema_1_cas, self._cas_path)
            write_whole(self.identity_path, wanted().text(), 0o600)
        self.created += 1

    @property
    def _schema_1_cas(self) -> Path:
        return self.directory / "authorities"

    @property
    def _cas_path(self) -> Path:
        return self.directory / "ca"

    def _ca_path(self, name: CAName) -> Path:
        if not exists(self._schema_1_cas):
            return self._cas_path / name
        if exists(self._cas_path):
            raise KubeinfraError(
                f"{self.directory}: has both authorities/, of schema 1, and ca/; remove the one that is not the "
                "cluster's: `openssl x509 -noout -fingerprint -in .../etcd/ca.pem` tells, as it does of "
                "/opt/etcd/ssl/ca.pem on a machine"
            )
        return self._schema_1_cas / name

    def _secret_path(self, name: SecretName) -> Path:
        return self.directory / "secrets" / name

    def _is_there(self, path: Path) -> bool:
        """Whether anything exists at this path; its directories must not be open to others, and of a known schema."""
        self.identity()
        for directory in dict.fromkeys((self.directory, path.parent)):
            if not exists(directory):
                return False
            check_directory(directory)
        return exists(path)

    @contextmanager
    def _creating(self, path: Path) -> Iterator[None]:
        with self._writing(path):
            if self._is_there(path):
                raise KubeinfraError(f"{path}: is there already, perhaps from a run at the same time; run again")
            yield
        self.created += 1

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """One writer at a time; others wait for the milliseconds that it takes."""
        self.identity()  # of a newer schema nothing is changed
        with file_errors(path, "written"):
            self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for directory in dict.fromkeys((self.directory, path.parent)):
                directory.mkdir(mode=0o700, exist_ok=True)
                sync(directory.parent)
            with locked(self.directory):
                yield


def _trusted(ca: Path) -> dict[str, str]:
    """Name below the CA's directory -> PEM text, of what is trusted besides the one that signs."""
    directory = ca / "trusted"
    if not exists(directory):
        return {}
    check_directory(directory)
    with file_errors(directory, "read"):
        paths = sorted(directory.glob("*.pem"))
    return {f"trusted/{path.name}": read_text(path, RESTORE) for path in paths}
