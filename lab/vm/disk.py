"""The disk that all virtual machines of a kind are copied from: Debian with a kernel of its own, as a file."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from kubeinfra.atomic import whole_directory, write_whole
from kubeinfra.errors import KubeinfraError
from lab import debian, image
from lab.console import Phase
from lab.process import run

CACHE = Path("~/.cache/kubeinfra/lab-vm").expanduser()
DISK, SWAP, KERNEL, INITRD = "disk.img", "swap.img", "vmlinuz", "initrd.img"
SIZE = "12G"
SWAP_SIZE = "256M"
_HERE = Path(__file__).parent
_LAB = _HERE.parent
# Of the container's image too: who may log in, and how.
_SHARED = ("etc/ssh", "etc/sudoers.d")
# Of files that are put there later; without a name a file is nobody's.
_SELINUX = "system_u:object_r:etc_t:s0"


class Disk(NamedTuple):
    kind: str
    """Of the machines that it is for."""
    prepared: bool
    """With the packages that a deploy installs; else they are on the disk as a repository, not installed."""
    modules: Path | None = None
    """Of a kernel that is not Debian's own, which it then has not: a directory named by the kernel's release."""

    def provide(self, phase: Phase) -> Path:
        """Make sure that it is in the cache: a directory with DISK and SWAP, and KERNEL and INITRD if it has them."""
        directory = CACHE / image.digest(self.recipe())
        if directory.is_dir():
            phase.result = f"{directory.name}, there already"
            return directory
        _build(phase, self, directory)
        _forget_older(self.kind, directory)
        phase.result = f"{directory.name}, built"
        return directory

    def is_cached(self) -> bool:
        return (CACHE / image.digest(self.recipe())).is_dir()

    def recipe(self) -> dict[str, bytes]:
        """Everything that it depends on: path -> content."""
        paths = [_LAB / "image" / "packages", *_files(_HERE / "recipe")]
        paths += [path for shared in _SHARED for path in _files(_LAB / "image" / "root" / shared)]
        files = {str(path.relative_to(_LAB)): path.read_bytes() for path in paths}
        return {**files, "form": f"{debian.SUITE} {SIZE} {SWAP_SIZE} {self}".encode()}

    def packages(self) -> tuple[list[str], list[str]]:
        """What a bare machine has, and what a deploy adds to it."""
        files = ("packages", "packages-owner", *(() if self.modules else ("packages-kernel",)))
        bare = [name for file in files for name in debian.package_names((_HERE / "recipe" / file).read_text())]
        further = [_LAB / "image" / "packages", _HERE / "recipe" / "packages-deploy"]
        added = [name for path in further for name in debian.package_names(path.read_text())]
        return bare, [name for name in added if name not in bare]


def write_files(disk: Path, files: Mapping[str, tuple[bytes, int]]) -> None:
    """
    Put files into a disk that nobody uses, without mounting it; their directories must be there.

    + files: absolute path -> content, permissions
    """
    with tempfile.TemporaryDirectory() as directory:
        requests = []
        for number, (path, (content, mode)) in enumerate(files.items()):
            source = Path(directory, str(number))
            source.write_bytes(content)
            parent, _, name = path.rpartition("/")
            requests += [f"cd {parent}", f"rm {name}", f"write {source} {name}"]
            requests += [f"sif {name} mode 0{0o100000 | mode:o}", f"sif {name} uid 0", f"sif {name} gid 0"]
            requests += [f"ea_set {name} security.selinux {_SELINUX}"]
        _debugfs("-w", "-f", "-", str(disk), stdin="\n".join(requests) + "\n")
    for path, (content, _) in files.items():  # its exit code tells nothing
        if _debugfs("-R", f"cat {path}", str(disk)) != content:
            raise KubeinfraError(f"{disk}: debugfs has not written {path}; is the file system full?")


def _debugfs(*arguments: str, stdin: str = "") -> bytes:
    return subprocess.run(["debugfs", *arguments], input=stdin.encode(), capture_output=True).stdout


def _files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def _build(phase: Phase, disk: Disk, directory: Path) -> None:
    phase.note("making a disk from Debian's packages")
    bare, added = disk.packages()
    with tempfile.TemporaryDirectory(prefix="kubeinfra-vm") as work, whole_directory(directory, 0o755) as target:
        root, context = Path(work, "root"), Path(work, "context")
        _context(context)
        debian.bootstrap(
            phase,
            [*bare, *(added if disk.prepared else [])],
            root,
            "--format=directory",
            f"--customize-hook=cp -r {context}/. $1/",
            *([] if disk.prepared else [f"--customize-hook={_download(added)}"]),
            *([f"--customize-hook={_copy_modules(disk.modules)}"] if disk.modules else []),
            '--customize-hook=chroot "$1" sh /usr/local/lib/lab/setup',
        )
        for name, pattern in ((KERNEL, "vmlinuz-*"), (INITRD, "initrd.img-*")):
            for found in (root / "boot").glob(pattern):
                shutil.copy(found, target / name)
        phase.note("writing the disk")
        run(phase, "mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", str(root), str(target / DISK), SIZE)
        run(phase, "truncate", f"--size={SWAP_SIZE}", str(target / SWAP))
        (target / SWAP).chmod(0o600)
        run(phase, "mkswap", f"--uuid={_swap_uuid()}", str(target / SWAP))
        write_whole(target / "recipe.json", json.dumps({"kind": disk.kind}))


def _context(context: Path) -> None:
    """What is copied into the new system."""
    shutil.copytree(_HERE / "recipe" / "root", context)
    for shared in _SHARED:
        shutil.copytree(_LAB / "image" / "root" / shared, context / shared, dirs_exist_ok=True)
    own = context / "usr" / "local" / "lib" / "lab"
    own.mkdir(parents=True, exist_ok=True)
    shutil.copy(_HERE / "recipe" / "setup", own)


def _download(names: Iterable[str]) -> str:
    """A hook that fetches packages with what they need, by this machine's own apt (mmdebstrap(1), HOOKS)."""
    into = '"$1/usr/local/lib/lab/packages/"'
    get = "apt-get -q -y --no-install-recommends --download-only"
    return (
        f"mkdir -p {into}/partial && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG "
        f"{get} -o Dir::Cache::archives={into} install {shlex.join(names)}"
    )


def _copy_modules(modules: Path) -> str:
    return f'mkdir -p "$1/lib/modules" && cp -r {shlex.quote(str(modules))} "$1/lib/modules/"'


def _swap_uuid() -> str:
    lines = (_HERE / "recipe" / "root" / "etc" / "fstab").read_text().splitlines()
    return next(line.split()[0].removeprefix("UUID=") for line in lines if line.startswith("UUID="))


def _forget_older(kind: str, kept: Path) -> None:
    """Machines have copies: nothing uses the disks of older recipes any more, and they are large."""
    for path in CACHE.glob("*/recipe.json"):
        if path.parent != kept and json.loads(path.read_text()).get("kind") == kind:
            shutil.rmtree(path.parent)
