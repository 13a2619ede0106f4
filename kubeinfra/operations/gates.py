"""Gates: wait for health with a deadline and show why it is not reached; refuse a task whose forerunner is missing."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from shlex import quote

from pyinfra import host, state
from pyinfra.api import QuoteString, StringCommand, operation

from kubeinfra.components.base import Probe
from kubeinfra.facts.health import Awaited, Succeeds
from kubeinfra.run.masters import ask_master
from kubeinfra.run.plan import announce, announce_wait, announced, waits_for


def failure(sentence: str) -> StringCommand:
    """A command that fails its host with this sentence; an exception would end the run of all hosts without a place."""
    return StringCommand("sh", "-c", QuoteString(f"echo {quote(sentence)} >&2; exit 1"))


@operation()
def barrier() -> Generator[StringCommand, None, None]:
    """All hosts wait here for each other: pyinfra keeps the order of the lines only among shared operations."""
    return
    yield


@operation()
def wait_until(probe: Probe) -> Generator[StringCommand, None, None]:
    """Wait until a condition is true; the loop runs on the host. A host on which it does not come true fails."""
    if host.get_fact(Succeeds, probe=probe.command):
        host.noop(probe.what)
        return
    announce_wait(probe.what)
    yield waiting(probe)


def waiting(probe: Probe) -> StringCommand:
    """The loop; when the time is over it says what was waited for, the last answer, and what else the probe knows."""
    waits_for(probe.what)
    return StringCommand("sh", "-c", QuoteString(_loop(probe)))


def _loop(probe: Probe) -> str:
    journal = f"echo 'the last of {probe.unit}:' >&2; journalctl -u {probe.unit} -n 20 --no-pager -o cat >&2\n"
    why = f"{journal if probe.unit else ''}{probe.why}"
    sentence = f"waited {probe.timeout} s until {probe.what}; last answer:"
    return (
        f"deadline=$(($(date +%s) + {probe.timeout})); "
        f"until last=$(timeout 15 sh -c {quote(probe.command)} 2>&1); do "
        f'[ "$(date +%s)" -lt $deadline ] || {{ printf \'%s\\n\' {quote(sentence)} "$last" >&2; '
        f"{why}\nexit 1; }}; "
        "sleep 0.2; done"
    )


def guarding(guard: Probe) -> Generator[StringCommand, None, bool]:
    """Wait for what must be true before this host goes on, for an operation that does more; returns whether it may."""
    if not guard.on_master:
        yield waiting(guard)
    elif state.is_executing:
        waits_for(guard.what)
        if why_not := ask_master(Awaited, script=_loop(guard)):
            yield failure(why_not)
            return False
    return True


@operation(is_idempotent=False)
def once(
    what: str, command: str, unless: str | None = None, undone_by: Sequence[str] = ()
) -> Generator[StringCommand, None, None]:
    """
    Run a command unless the state that it makes is there already.

    + what: what the command does, for the plan; + unless: the command that asks for the state; None: run it always
    + undone_by: files; where a plan changes one of them, the state will not be there any more
    """
    lasts = not announced().keys() & set(undone_by)
    if unless is not None and lasts and host.get_fact(Succeeds, probe=unless):
        host.noop(what)
        return
    announce(what)
    yield StringCommand("sh", "-c", QuoteString(command))


@operation()
def require(probe: Probe, remedy: str) -> Generator[StringCommand, None, None]:
    """
    End the run if something is missing that an earlier task creates.

    + probe: what must be true; + remedy: what to do if it is not
    """
    if host.get_fact(Succeeds, probe=probe.command):
        host.noop(probe.what)
        return
    sentence = f"{host.name}: needed first, and not so: {probe.what}; {remedy}"
    if not state.is_executing:  # else the command says it
        announce(sentence)
    yield failure(sentence)


@operation()
def apply(kubectl: str, manifest: str, unless: str | None = None) -> Generator[StringCommand, None, None]:
    """
    Apply a manifest if the cluster has something else.

    + kubectl: command with its kubeconfig; + manifest: file on the host
    + unless: shell that succeeds if the cluster has what somebody else has put there, which stays
    """
    same = [f"{kubectl} diff -f {manifest}"] if manifest not in announced() else []
    probe = " || ".join([*([f"{{ {unless}; }}"] if unless else []), *same])
    if probe and host.get_fact(Succeeds, probe=probe):
        host.noop(f"the cluster has what {manifest} says{', or another one that stays' if unless else ''}")
        return
    announce(f"apply {manifest}")
    yield StringCommand("sh", "-c", QuoteString(f"{kubectl} apply -f {manifest} >/dev/null"))
