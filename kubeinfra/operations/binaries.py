"""Binaries: sent to every host that lacks them, put in place by the task that owns them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pyinfra import host, state
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation

from kubeinfra.artifacts.store import Binary, PlannedBinary
from kubeinfra.components.base import Needed
from kubeinfra.facts.binaries import DIGEST, BinaryStates
from kubeinfra.machine.shell import flush
from kubeinfra.machine.state import BinaryState, PathState
from kubeinfra.paths import KUBERNETES_BIN, LINKS
from kubeinfra.releases.catalogue import Artifact
from kubeinfra.run.context import run
from kubeinfra.run.controller import store
from kubeinfra.run.inventory import as_pyinfra_error
from kubeinfra.run.plan import announce

Commands = Generator[StringCommand | FileUploadCommand, None, None]


@dataclass(frozen=True)
class Target:
    path: str
    binary: PlannedBinary | Binary

    @property
    def sha256(self) -> str:
        return self.binary.sha256 or ""

    @property
    def pinned(self) -> bool:
        return self.binary.archive.startswith(("sha256:", "sha512:"))

    @property
    def staged(self) -> str:
        """Path next to the final one, so that a rename puts it in place; the digest is in the name."""
        directory, _, name = self.path.rpartition("/")
        return f"{directory}/.{name}.{self.sha256}"


def targets_of(needed: Sequence[Needed]) -> list[Target]:
    """A run has its binaries at hand; a plan knows as much of them as it can without fetching anything."""
    return [
        Target(f"{need.directory}/{binary.name}", binary)
        for need in needed
        for binary in _binaries(need.artifact)
        if binary.name in (need.names or (binary.name,))
    ]


def _binaries(artifact: Artifact) -> Sequence[Binary | PlannedBinary]:
    """Looked up once for all hosts: by the run that has fetched them, or by its plan."""
    known = run().binaries
    key = (artifact, state.is_executing)
    if key not in known:
        with as_pyinfra_error():
            known[key] = store().binaries(artifact) if state.is_executing else store().wanted(artifact)
    return known[key]


@operation()
def stage(needed: Sequence[Needed]) -> Commands:
    """
    Send the binaries that the host lacks to a staged name, checked there; `install` gives them their final name.

    + needed: all of the host's components at once
    """
    targets = targets_of(needed)
    found = host.get_fact(BinaryStates, wanted={target.path: target.sha256 for target in targets})
    missing = [target for target in targets if not _is_there(target, found)]
    if not missing:
        host.noop(f"{len(targets)} binaries are as wanted")
        return
    for target in missing:
        announce(_sentence(target, found.get(target.path)), path=target.path)
    directories = sorted({target.path.rpartition("/")[0] for target in missing})
    yield StringCommand("install", "-d", "-m", "755", *directories)
    for target in missing:
        yield from _upload(target)


def _is_there(target: Target, found: dict[str, BinaryState]) -> bool:
    return target.path in found and found[target.path].sha256 == target.sha256


def _sentence(target: Target, found: BinaryState | None) -> str:
    identity = target.sha256[:12] or (target.binary.archive[:19] if target.pinned else "not fetched yet")
    wanted = f"{target.binary.version} ({identity})"
    if found is None:
        return f"put {target.path} {wanted}"
    return f"replace {target.path}: {found.version or 'another build'} ({found.sha256[:12]}) -> {wanted}"


def _upload(target: Target) -> Iterator[StringCommand | FileUploadCommand]:
    if isinstance(target.binary, PlannedBinary):  # a plan goes no further than this
        yield StringCommand("true")
        return
    packed, staged = f"{target.staged}.gz", target.staged
    yield FileUploadCommand(str(target.binary.gzip_path), packed)
    yield StringCommand(
        "sh",
        "-ec",
        QuoteString(
            f"gunzip -c {packed} >{staged}.new; rm {packed}; "
            f'{DIGEST}; [ "$(digest <{staged}.new)" = {target.sha256} ] || '
            f'{{ echo "{target.path}: what has arrived is damaged; run again" >&2; exit 1; }}; '
            f"chmod 755 {staged}.new; {flush(f'{staged}.new')}; mv -f {staged}.new {staged}"
        ),
    )


def paths_to_place(targets: Sequence[Target]) -> list[str]:
    """Every path that `placing` must know of."""
    return [*(target.staged for target in targets), *(link for target in targets if (link := _link(target)))]


def placing(targets: Sequence[Target], found: Mapping[str, PathState]) -> list[str]:
    """Shell that gives staged binaries their final name, by rename, and Kubernetes' their link in /usr/local/bin."""
    moves = []
    for target in targets:
        link = _link(target)
        if target.staged in found:  # `stage` has announced it
            moves.append(f"mv -f {target.staged} {target.path}")
        if link and (link not in found or found[link].target != target.path):
            announce(f"link {link} -> {target.path}")
            moves.append(f"ln -sfT {target.path} {link}")
    return moves


def _link(target: Target) -> str | None:
    return f"{LINKS}/{target.binary.name}" if target.path.startswith(KUBERNETES_BIN) else None
