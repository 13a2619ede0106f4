"""What this controller keeps of the cluster, and where it finds releases: one object each a run."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from time import monotonic

from pyinfra import logger

from kubeinfra.artifacts.download import Progress, progress_line
from kubeinfra.artifacts.store import Store
from kubeinfra.atomic import hold_lock
from kubeinfra.cluster.settings import Settings
from kubeinfra.controller.directory import ControllerDirectory
from kubeinfra.controller.identity import Identity
from kubeinfra.errors import KubeinfraError
from kubeinfra.pki.secrets import ClusterSecrets
from kubeinfra.run.inventory import cluster

ROOT = Path(__file__).resolve().parents[2]


def controller() -> ControllerDirectory:
    """The directory of this cluster's CAs and secrets: `.kubeinfra/<cluster_name>` next to deploy.py."""
    return _state(cluster().settings.cluster_name)


@lru_cache
def _state(cluster_name: str) -> ControllerDirectory:
    return ControllerDirectory(ROOT / ".kubeinfra" / cluster_name)


def secrets() -> ClusterSecrets:
    """
    The CAs and secrets of this cluster, read once a run, and once more after the run has created some.

    KubeinfraError, with a line for each thing that cannot be used.
    """
    directory = controller()
    return _secrets(directory, directory.created)


@lru_cache(maxsize=1)
def _secrets(directory: ControllerDirectory, created: int) -> ClusterSecrets:
    return directory.secrets()


def identity() -> Identity | None:
    """Which cluster the controller's directory is of; read as often as secrets()."""
    directory = controller()
    return _identity(directory, directory.created)


@lru_cache(maxsize=1)
def _identity(directory: ControllerDirectory, created: int) -> Identity | None:
    return directory.identity()


def acquire_run_lock() -> None:
    """
    Keep other runs from this checkout, and on this cluster, away for as long as this process lives: each would restart
    a member while the other restarts another. KubeinfraError if one is at work.
    """
    _lock_checkout()
    _lock_cluster(controller())


@lru_cache
def _lock_checkout() -> int:
    try:
        return hold_lock(ROOT)
    except BlockingIOError:
        raise KubeinfraError(f"another run from {ROOT} is at work; wait until it has ended, and run again") from None


@lru_cache
def _lock_cluster(directory: ControllerDirectory) -> int | None:
    """A directory that does not exist yet needs no lock: if two runs begin it, one of them creates the CAs."""
    return directory.hold_run_lock() if directory.directory.exists() else None


class _Lines:
    """Progress between the lines of a run: one when something begins, and one every ten seconds while it lasts."""

    def __init__(self) -> None:
        self._what = ""
        self._told = 0.0

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if what != self._what or monotonic() - self._told >= 10:
            self._what, self._told = what, monotonic()
            logger.info(f"    {progress_line(what, done, total)}")


@lru_cache
def _store(
    cache_dir: str | None,
    artifacts_dir: str | None,
    mirror: str | None,
    own: tuple[tuple[str, str], ...],
    progress: Progress,
) -> Store:
    cache = Path(cache_dir).expanduser() if cache_dir else Path.home() / ".cache" / "kubeinfra"
    artifacts = Path(artifacts_dir).expanduser() if artifacts_dir else None
    return Store(cache, artifacts, mirror, dict(own), progress)


_lines = _Lines()


def store(settings: Settings | None = None, progress: Progress = _lines) -> Store:
    """Where this cluster's releases and images come from; long steps are reported to `progress`."""
    s = settings or cluster().settings
    return _store(s.cache_dir, s.artifacts_dir, s.artifact_mirror, tuple(sorted(s.own_builds.items())), progress)
