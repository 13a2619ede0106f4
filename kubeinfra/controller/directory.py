"""
What the controller keeps: the CAs, and the secrets that several machines share.

    .kubeinfra/<cluster>/                      0700
        authorities/<name>/ca.pem, ca-key.pem  one directory each, so that both files appear together
        secrets/<name>                         0600
        admin.kubeconfig                       0600

Reading creates nothing. Something that exists and cannot be used is an error; only what is completely absent is
None, and only that may be created: a CA created a second time would cut off every machine that trusts the first one.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from kubeinfra.atomic import locked, sync, whole_directory, write_whole
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

RESTORE = "restore it from a backup"
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
        """How often this object has created something: what was read before may be out of date."""

    @property
    def admin_kubeconfig_path(self) -> Path:
        return self.directory / "admin.kubeconfig"

    def ca(self, name: CAName) -> CA | None:
        """The CA, or None if nothing exists under its name."""
        path = self._ca_path(name)
        if not self._is_there(path):
            return None
        _check_directory(path)
        certificate = _read(path / CERTIFICATE_FILE, RESTORE_CA)
        return CA.load(certificate, _read_private(path / KEY_FILE, RESTORE_CA), str(path))

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
        value = _read_private(path, RESTORE)
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
        return _read_private(path, "remove it: the next run writes a new one") if self._is_there(path) else None

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

    def _ca_path(self, name: CAName) -> Path:
        return self.directory / "authorities" / name

    def _secret_path(self, name: SecretName) -> Path:
        return self.directory / "secrets" / name

    def _is_there(self, path: Path) -> bool:
        """Whether anything exists at this path; its directories must not be open to other users."""
        for directory in dict.fromkeys((self.directory, path.parent)):
            if not _exists(directory):
                return False
            _check_directory(directory)
        return _exists(path)

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
        with file_errors(path, "written"):
            self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for directory in dict.fromkeys((self.directory, path.parent)):
                directory.mkdir(mode=0o700, exist_ok=True)
                sync(directory.parent)
            with locked(self.directory):
                yield


def _exists(path: Path) -> bool:
    """True also for a dangling link, such as to a disk that is not mounted: its target may come back."""
    with file_errors(path, "read"):
        try:
            path.lstat()
        except FileNotFoundError:
            return False
        return True


def _check_directory(path: Path) -> None:
    with file_errors(path, "read"):
        if not path.is_dir():
            raise KubeinfraError(f"{path}: is not a directory, or a link to one that is not there; {RESTORE}")
        _check_private(path)


def _check_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise KubeinfraError(
            f"{path}: has mode {mode:04o}, so that other users may read it; if none of them did, run: chmod go= {path}"
        )


def _read_private(path: Path, advice: str) -> str:
    text = _read(path, advice)  # first: a missing file has no mode
    _check_private(path)
    return text


def _read(path: Path, advice: str) -> str:
    with file_errors(path, "read"):
        try:
            return path.read_bytes().decode()
        except FileNotFoundError:
            raise KubeinfraError(f"{path}: is missing; {advice}") from None
        except UnicodeDecodeError:
            raise KubeinfraError(f"{path}: is not text; {advice}") from None
