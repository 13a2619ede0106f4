"""Health of a machine, as shell commands report it."""

from __future__ import annotations

from shlex import quote

from pyinfra.api import FactBase

from kubeinfra.health.questions import Row, parse_answers


class Succeeds(FactBase[bool]):
    """Whether a shell command succeeds on the host. + probe: the command; its output is discarded"""

    def command(self, probe: str) -> str:
        return f"if timeout 60 sh -c {quote(probe)} >/dev/null 2>&1; then echo yes; else echo no; fi"

    def process(self, output: list[str]) -> bool:
        return output == ["yes"]


class Awaited(FactBase[str]):
    """Nothing if a script that waits for something succeeds, else what it says. + script: the loop of `waiting`"""

    @staticmethod
    def default() -> str:
        return "no answer"

    def command(self, script: str) -> str:
        return f'if said=$(sh -c {quote(script)} 2>&1); then echo yes; else printf "%s\\n" no "$said"; fi'

    def process(self, output: list[str]) -> str:
        return "" if output == ["yes"] else "\n".join(output[1:]).strip() or "no answer"


class Health(FactBase[list[Row]]):
    """
    The Rows for the questions about this machine's components: one each, and one for each node. One command.

    + asked: component, subject, shell command; if a command fails, the row is unhealthy and its output is the detail
    """

    default = list

    def command(self, asked: list[tuple[str, str, str]]) -> str:
        calls = "; ".join(
            f"ask {quote(component)} {quote(subject)} {quote(probe)}" for component, subject, probe in asked
        )
        return (
            'ask() { if output=$(timeout 20 sh -c "$3" 2>&1); then code=0; else code=1; fi; '
            "output=$(echo \"$output\" | tail -n 3 | tr '\\n\\t' '  '); "
            'printf \'%s\\t%s\\t%s\\t%s\\n\' "$1" "$2" $code "$output"; }; '
            f"{calls}"
        )

    def process(self, output: list[str]) -> list[Row]:
        return [row for line in output for row in parse_answers(*line.split("\t", 3))]
