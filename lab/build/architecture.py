"""The architectures that the lab builds for: this machine's own, and others by cross-compiling."""

from dataclasses import dataclass
from pathlib import Path

from kubeinfra.errors import KubeinfraError

OWN = "amd64"


@dataclass(frozen=True)
class Architecture:
    """
    What differs when it is built for.

    name: as upstream and Debian spell it
    elf: e_machine in the header of its programs
    libraries: where Debian's packages have them, below / or /usr
    loader: path of its dynamic loader; the package has the file among the libraries
    gcc: the command that compiles for it
    compiler: Debian packages with that, and with the C library to link with
    emulator: what runs its programs here, in front of their command line; nothing for this machine's own
    tools: Debian packages that each of its builds needs
    """

    name: str
    elf: int
    libraries: str
    loader: str
    gcc: str
    compiler: tuple[str, ...]
    emulator: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()

    @property
    def foreign(self) -> bool:
        return self.name != OWN


ARCHITECTURES = {
    one.name: one
    for one in (
        Architecture(OWN, 62, "lib/x86_64-linux-gnu", "lib64/ld-linux-x86-64.so.2", "gcc", ("gcc", "libc6-dev")),
        Architecture(
            "arm64",
            183,
            "lib/aarch64-linux-gnu",
            "lib/ld-linux-aarch64.so.1",
            "aarch64-linux-gnu-gcc",
            ("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"),
            emulator=("qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"),  # where its dynamic loader and libc are
            tools=("qemu-user-static", "libc6-arm64-cross"),
        ),
    )
}


def of_program(program: Path) -> str:
    """The name of the architecture that a program was made for, from its ELF header; "none" for another file."""
    with program.open("rb") as file:
        head = file.read(20)
    machine = int.from_bytes(head[18:20], "little") if head.startswith(b"\x7fELF") else 0
    return next((one.name for one in ARCHITECTURES.values() if one.elf == machine), "none")


def require(program: Path, wanted: str) -> None:
    """KubeinfraError unless the program was made for this architecture."""
    found = of_program(program)
    if found != wanted:
        raise KubeinfraError(f"{program} was built for {found}, wanted {wanted}: mend its recipe in lab/build/")
