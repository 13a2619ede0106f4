"""Files, directories and links on a machine."""

from __future__ import annotations

from base64 import b64decode
from shlex import join, quote

from pyinfra.api import FactBase

from kubeinfra.facts.certificates import CertificateStates
from kubeinfra.machine.state import CertificateState, PathState

_CERTIFICATES = "=== certificates"

_KINDS = {
    "regular file": "file",
    "regular empty file": "file",
    "directory": "directory",
    "symbolic link": "link",
}


class PathStates(FactBase[dict[str, PathState]]):
    """
    State of each path: path -> PathState. A path with nothing at it is left out.

    + paths: absolute paths, without spaces
    + shown: path -> SHA-256 of the wanted text ("": any), for files whose present text may be shown; `text` is
      set if the digest is another
    """

    default = dict

    def command(self, paths: list[str], shown: dict[str, str] | None = None) -> str:
        texts = "".join(
            f'[ ! -f {quote(path)} ] || [ "$(sha256sum <{quote(path)})" = "{digest}  -" ] || '
            f'printf "text\\t%s\\t%s\\n" {quote(path)} "$(base64 -w0 {quote(path)})"; '
            for path, digest in (shown or {}).items()
        )
        every = join(paths)
        # A missing path is an answer here, so its error message is discarded.
        return (
            # stat translates file types to the language of the machine.
            "export LC_ALL=C; "
            f"for path in {every}; do [ ! -L $path ] || printf 'link\\t%s\\t%s\\n' $path \"$(readlink $path)\"; done; "
            f"{texts} exec 2>/dev/null; stat -c 'stat\t%n\t%F\t%a\t%U:%G' {every}; "
            # Of a link to a directory, the mode and owner that count are the directory's.
            f"for path in {every}; do [ ! -L $path ] || [ ! -d $path ] || "
            "stat -L -c 'stat\t%n\tsymbolic link\t%a\t%U:%G' $path; done; "
            f"for path in {every}; do [ -f $path ] && [ ! -L $path ] && echo $path; done | xargs -r sha256sum; exit 0"
        )

    def process(self, output: list[str]) -> dict[str, PathState]:
        stats: dict[str, list[str]] = {}
        digests: dict[str, str] = {}
        targets: dict[str, str] = {}
        texts: dict[str, str] = {}
        for line in output:
            kind, _, rest = line.partition("\t")
            if kind == "stat":
                path, *values = rest.split("\t")
                stats[path] = values
            elif kind == "link":
                path, target = rest.split("\t")
                targets[path] = target
            elif kind == "text":
                path, encoded = rest.split("\t")
                texts[path] = b64decode(encoded).decode(errors="surrogateescape")
            else:
                digest, path = line.split("  ", 1)
                digests[path] = digest
        return {
            path: PathState(
                _KINDS.get(kind, "other"),
                mode,
                owner,
                digests.get(path, ""),
                targets.get(path, ""),
                texts.get(path),
            )
            for path, (kind, mode, owner) in stats.items()
        }


class OnDisk(FactBase[tuple[dict[str, PathState], dict[str, CertificateState]]]):
    """
    State of everything that a component has on the disk, in one command: PathStates and CertificateStates.

    + paths, shown: as for PathStates; + pairs: as for CertificateStates
    """

    @staticmethod
    def default() -> tuple[dict[str, PathState], dict[str, CertificateState]]:
        return {}, {}

    def command(self, paths: list[str], shown: dict[str, str], pairs: dict[str, str]) -> str:
        certificates = f"({CertificateStates().command(pairs)})" if pairs else ":"
        return f"({PathStates().command(paths, shown)}); echo '{_CERTIFICATES}'; {certificates}"

    def process(self, output: list[str]) -> tuple[dict[str, PathState], dict[str, CertificateState]]:
        middle = output.index(_CERTIFICATES)
        return PathStates().process(output[:middle]), CertificateStates().process(output[middle + 1 :])
