"""What a run says about its changes, and which paths a plan has announced to change."""

from __future__ import annotations

from collections.abc import Iterable

from pyinfra import host, state

from kubeinfra.findings import Finding
from kubeinfra.reports.fold import Told
from kubeinfra.run.context import run
from kubeinfra.run.journal import Verb


def announce(sentence: str, diff: Iterable[str] = (), path: str | None = None, digest: str = "") -> None:
    """
    One sentence about a change of this host; the diff only in a plan, where it is asked for.

    `path`: whose content the change is about, `digest`: the SHA-256 that it will have ("": not known yet), so that a
    plan can tell which processes would restart because of it.
    """
    if state.is_executing:
        run().journal.change(host.name, sentence)
        _tell(sentence)
        return
    _tell(sentence, diff)
    if path:
        run().announced[host.name][path] = digest


def announce_restart(unit: str, verb: Verb, reasons: Iterable[str] = ()) -> None:
    """A unit that is started (no reasons), restarted or reloaded, and why."""
    reasons = list(reasons)
    if state.is_executing:
        run().journal.restart(host.name, unit, verb, reasons)
    announce(f"{verb} {unit}{': ' if reasons else ''}{', '.join(reasons)}")


def announce_wait(what: str) -> None:
    """A condition that this host would wait for; of a run that is under way `waits_for` tells."""
    run().screen.tell_wait(Told(host.name, f"wait until {what}"))


def waits_for(what: str) -> None:
    """A condition that this host waits for from now on: it is told when it lasts."""
    if state.is_executing:
        run().screen.waits(host.name, what)


def note(sentence: str) -> None:
    """What cannot be had on this host, in one line, without failing."""
    note_finding(Finding("note", host.name, "note", sentence))


def note_finding(finding: Finding) -> None:
    """The same, of a finding about this host; a warning is called one."""
    run().journal.findings[finding] = None  # once: a plan that is carried out tells it twice
    _tell(f"{finding.level}: {finding.text()}")


def announced() -> dict[str, str]:
    """What this plan would change on this host: path -> digest. Empty while a run changes things: the disk tells."""
    return {} if state.is_executing else run().announced[host.name]


def _tell(sentence: str, diff: Iterable[str] = ()) -> None:
    run().screen.tell(Told(host.name, sentence, tuple(diff)))
