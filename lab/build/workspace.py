"""Where one artifact is built: scratch space, a log of all commands, and the message when one fails."""

import shlex
import subprocess
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kubeinfra.errors import KubeinfraError

from . import architecture
from .architecture import ARCHITECTURES, OWN, Architecture

SHOWN_LINES = 15
SHOWN_COMMAND = 300  # characters; some commands name dozens of packages


@dataclass(frozen=True)
class Workspace:
    """
    The surroundings of one build.

    scratch: a directory for this build alone, empty when it starts; commands run in it unless told otherwise
    log: gets each command and what it prints
    arch: the architecture that is built for; its programs run here too, emulated if they must be
    """

    scratch: Path
    log: Path
    arch: str = OWN

    @property
    def architecture(self) -> Architecture:
        return ARCHITECTURES[self.arch]

    def run(
        self,
        *command: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        hint: str = "",
    ) -> str:
        """
        Run a command and return what it wrote on stdout.

        `gcc` is the compiler for the architecture.

        hint: what to do when it fails, the last line of the KubeinfraError that is raised then
        """
        command = self._here(command)
        with self.log.open("a") as log:
            print("$", shlex.join(map(str, command)), file=log, flush=True)
            start = log.tell()
            done = subprocess.run(
                command,
                cwd=cwd or self.scratch,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            log.write(done.stdout)
        if done.returncode != 0:
            raise KubeinfraError(f"{self._failure(command, done.returncode, start)}\n{hint}".rstrip())
        return done.stdout

    def expect(self, wanted: str, *command: str | Path, hint: str = "") -> None:
        """
        Prove a product by running it: `wanted` must be in what it prints, whatever its exit status.

        KubeinfraError also if it is a program of another architecture.
        """
        architecture.require(Path(command[0]), self.arch)
        command = self._here(command)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if wanted not in done.stdout:
            found = textwrap.shorten(done.stdout, SHOWN_COMMAND) or "nothing"
            shown = shlex.join(map(str, command))
            raise KubeinfraError(f"`{shown}` prints {found}, wanted {wanted!r}\n{hint}".rstrip())

    def _here(self, command: tuple[str | Path, ...]) -> tuple[str | Path, ...]:
        """The command as this machine has it: another architecture's programs in the emulator, its compiler as gcc."""
        program, *arguments = command
        if program == "gcc":
            return (self.architecture.gcc, *arguments)
        if isinstance(program, Path) and program.is_file() and architecture.of_program(program) == self.arch:
            return (*self.architecture.emulator, *command)
        return command

    def _failure(self, command: tuple[str | Path, ...], status: int, start: int) -> str:
        shown = textwrap.shorten(shlex.join(map(str, command)), SHOWN_COMMAND)
        said = self.log.read_bytes()[start:].decode(errors="replace").splitlines()
        last = "\n".join(said[-SHOWN_LINES:])
        return (
            f"`{shown}` ended with status {status}; its last lines:\n"
            f"{textwrap.indent(last, '    ')}\n"
            f"all of its output: {self.log}"
        )
