"""Binaries on a machine."""

from __future__ import annotations

from pyinfra.api import FactBase

from kubeinfra.machine.state import BinaryState

# Shell function: SHA-256 of its standard input in hex. openssl uses the processor's own instructions, and needs a
# quarter of the time for the hundreds of megabytes on each machine; sha256sum is installed everywhere.
DIGEST = """\
digest() { { openssl dgst -sha256 -r 2>/dev/null || sha256sum; } | cut -d ' ' -f 1; }"""


class BinaryStates(FactBase[dict[str, BinaryState]]):
    """
    State of the binary at each path: path -> BinaryState; a path without a file is left out.

    + wanted: path -> wanted SHA-256, "" if not known yet; a binary with another digest is run for its version
    """

    default = dict

    def command(self, wanted: dict[str, str]) -> str:
        lines = "\n".join(f"{digest or '-'} {path}" for path, digest in wanted.items())
        return (
            f"{DIGEST}; "
            "while read -r wanted path; do "
            '[ -f "$path" ] || continue; '
            'is=$(digest <"$path"); version=; '
            '[ "$is" = "$wanted" ] || version=$(timeout 10 "$path" --version 2>/dev/null </dev/null | head -n 1); '
            'echo "$is $path $version"; '
            f"done <<'END'\n{lines}\nEND"
        )

    def process(self, output: list[str]) -> dict[str, BinaryState]:
        found = {}
        for line in output:
            digest, path, *version = line.split(" ", 2)
            found[path] = BinaryState(digest, " ".join(version).strip())
        return found
