"""What shell commands say of a machine's health."""

from __future__ import annotations

from shlex import quote

from pyinfra.api import FactBase

from kubeinfra.health.questions import Row, read


class Succeeds(FactBase[bool]):
    """Whether a shell command succeeds on the host. + probe: the command; its output is thrown away"""

    def command(self, probe: str) -> str:
        return f"if timeout 60 sh -c {quote(probe)} >/dev/null 2>&1; then echo yes; else echo no; fi"

    def process(self, output: list[str]) -> bool:
        return output == ["yes"]


class Health(FactBase[list[Row]]):
    """
    What this machine's components say: a Row each. One command.

    + asked: component, subject, shell command; a command that fails is not well, and its words are the detail
    """

    default = list

    def command(self, asked: list[tuple[str, str, str]]) -> str:
        calls = "; ".join(
            f"ask {quote(component)} {quote(subject)} {quote(probe)}" for component, subject, probe in asked
        )
        return (
            'ask() { if words=$(timeout 20 sh -c "$3" 2>&1); then state=0; else state=1; fi; '
            "words=$(echo \"$words\" | tail -n 3 | tr '\\n\\t' '  '); "
            'printf \'%s\\t%s\\t%s\\t%s\\n\' "$1" "$2" $state "$words"; }; '
            f"{calls}"
        )

    def process(self, output: list[str]) -> list[Row]:
        return [read(*line.split("\t", 3)) for line in output]
