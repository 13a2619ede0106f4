"""Gates between components: wait for health with a deadline, and say why when it does not come."""

from __future__ import annotations

from collections.abc import Generator
from shlex import quote

from pyinfra import host, state
from pyinfra.api import FactBase, QuoteString, StringCommand, operation

from kubeinfra.plan import announce


def failure(sentence: str) -> StringCommand:
    """A command that fails its host with this sentence; an exception would end the run of all hosts without a place."""
    return StringCommand("sh", "-c", QuoteString(f"echo {quote(sentence)} >&2; exit 1"))


class Succeeds(FactBase[bool]):
    """Whether a shell command succeeds on the host. + probe: the command; its output is thrown away"""

    def command(self, probe: str) -> str:
        return f"if sh -c {quote(probe)} >/dev/null 2>&1; then echo yes; else echo no; fi"

    def process(self, output: list[str]) -> bool:
        return output == ["yes"]


@operation()
def barrier() -> Generator[StringCommand, None, None]:
    """All hosts meet here before any goes on: pyinfra keeps the order of the lines only among shared operations."""
    return
    yield


@operation()
def wait_until(what: str, probe: str, timeout: int, unit: str = "") -> Generator[StringCommand, None, None]:
    """
    Wait until a command succeeds on the host; the loop runs there.

    + what: what is waited for, in a person's words
    + timeout: seconds until the host fails, with the probe's last words and the unit's journal
    + unit: whose journal is shown then
    """
    if host.get_fact(Succeeds, probe=probe):
        host.noop(what)
        return
    announce(f"wait until {what}")
    yield StringCommand("sh", "-c", QuoteString(_waiting(what, probe, timeout, unit)))


def _waiting(what: str, probe: str, timeout: int, unit: str) -> str:
    journal = f"echo 'the last of {unit}:' >&2; journalctl -u {unit} -n 20 --no-pager -o cat >&2; " if unit else ""
    return (
        f"deadline=$(($(date +%s) + {timeout})); "
        f"until last=$(sh -c {quote(probe)} 2>&1); do "
        f"[ $(date +%s) -lt $deadline ] || {{ printf '%s\\n' {quote(f'waited {timeout} s until {what}; last answer:')} "
        f'"$last" >&2; {journal}exit 1; }}; '
        "sleep 0.2; done"
    )


@operation()
def once(what: str, unless: str, command: str) -> Generator[StringCommand, None, None]:
    """
    Run a command unless the state that it makes is there already.

    + what: what the command does, for the plan; + unless: the command that asks for the state
    """
    if host.get_fact(Succeeds, probe=unless):
        host.noop(what)
        return
    announce(what)
    yield StringCommand("sh", "-c", QuoteString(command))


@operation()
def require(what: str, probe: str, otherwise: str) -> Generator[StringCommand, None, None]:
    """
    End the run where something that an earlier task makes is missing.

    + what: what must be true; + probe: the command that asks; + otherwise: what to do about it
    """
    if host.get_fact(Succeeds, probe=probe):
        host.noop(what)
        return
    sentence = f"{host.name}: it is not so that {what}; {otherwise}"
    if not state.is_executing:  # else the command says it
        announce(sentence)
    yield failure(sentence)


@operation()
def apply(kubectl: str, manifest: str) -> Generator[StringCommand, None, None]:
    """
    Apply a manifest where the cluster has something else.

    + kubectl: command with its kubeconfig; + manifest: file on the host
    """
    if host.get_fact(Succeeds, probe=f"{kubectl} diff -f {manifest}"):
        host.noop(f"the cluster has what {manifest} says")
        return
    announce(f"apply {manifest}")
    yield StringCommand("sh", "-c", QuoteString(f"{kubectl} apply -f {manifest} >/dev/null"))
