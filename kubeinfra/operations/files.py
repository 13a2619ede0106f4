"""What a component has on the disk: all of it compared in one command, and written in one."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from kubeinfra.components.base import Component, Describe
from kubeinfra.facts.files import OnDisk
from kubeinfra.machine.state import CertificateState
from kubeinfra.machine.units import for_systemd
from kubeinfra.machine.wanted import SCRIPT, Change, Directory, compare, paths_of, script_input, texts_of
from kubeinfra.operations.binaries import paths_to_place, placing, targets_of
from kubeinfra.pki.certificates import Certificate
from kubeinfra.pki.issue import certificate_changes
from kubeinfra.run.context import run
from kubeinfra.run.controller import secrets
from kubeinfra.run.inventory import as_pyinfra_error, cluster
from kubeinfra.run.plan import announce
from kubeinfra.run.seen import here

Commands = Generator[StringCommand, None, None]


@operation()
def install(describe: Describe) -> Commands:
    """
    Put a component's files, certificates and staged binaries in place.

    Files arrive whole and with their final mode from birth; secrets are never shown. A certificate is issued if it is
    missing, wrong or near its end: its key is made for this host, goes to it on standard input, and is kept nowhere
    else. Binaries that are staged get their final name; the others are as wanted already.

    + describe: evaluated when the operation runs, as the run may have created CAs and secrets by then
    """
    yield from installing(describe(here()))


def installing(component: Component) -> Generator[StringCommand, None, bool]:
    """The commands of `install`, for an operation that does more; returns whether there were any."""
    systemd = here().seen.systemd
    wanted, certificates = [for_systemd(item, systemd) for item in component.files], component.certificates
    targets = targets_of(component.binaries)
    paths = [*paths_of(wanted), *paths_to_place(targets)]
    pairs = {item.certificate_path: item.key_path for item in certificates}
    found, issued = host.get_fact(OnDisk, paths=paths, shown=texts_of(wanted), pairs=pairs)
    directories = [item for item in wanted if isinstance(item, Directory)]
    rest = [item for item in wanted if not isinstance(item, Directory)]
    with as_pyinfra_error():
        changes = [
            *compare(directories, found),
            *_certificate_changes(certificates, issued),
            *compare(rest, found),
        ]
    moves = placing(targets, found)
    if not changes and not moves:
        host.noop(f"{len(wanted) + len(certificates)} files, directories and certificates are as wanted")
    _remember({path: state.certificate_pem for path, state in issued.items()})
    yield from _write(changes)
    if moves:
        yield StringCommand("sh", "-ec", QuoteString("; ".join(moves)))
    return bool(changes or moves)


def _certificate_changes(wanted: Sequence[Certificate], found: Mapping[str, CertificateState]) -> list[Change]:
    return certificate_changes(wanted, found, secrets().cas, cluster().settings.certificate_years, datetime.now(UTC))


def _write(changes: Sequence[Change]) -> Commands:
    for change in changes:
        announce(change.sentence, change.diff, change.path if change.digest is not None else None, change.digest or "")
    if changes:
        _remember({change.path: change.certificate for change in changes})
        yield StringCommand("sh", "-c", QuoteString(SCRIPT), _stdin=script_input(changes).splitlines())


def _remember(certificates: Mapping[str, str | None]) -> None:
    """For the record of the run."""
    run().journal.certificates.update({(host.name, path): pem for path, pem in certificates.items() if pem})
