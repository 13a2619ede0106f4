"""The image that all machines of the lab are started from: Debian 12 with systemd and sshd."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kubeinfra.atomic import whole_path
from kubeinfra.errors import KubeinfraError
from lab import debian, engine
from lab.console import Phase
from lab.docker import attempt, docker, lines
from lab.process import run

CACHE = Path("~/.cache/kubeinfra/lab-image").expanduser()
REPOSITORY = "kubeinfra-machine"
PULLED_BASE = f"debian:{debian.SUITE}-slim"
_HERE = Path(__file__).parent


def provide(phase: Phase) -> str:
    """
    Make sure that the engine has the image of this recipe: there, from the cache, or built. Gives its reference.

    Raises KubeinfraError where neither an image can be pulled nor Debian's packages be had.
    """
    reference = f"{REPOSITORY}:{digest(recipe())}"
    if attempt("image", "inspect", reference).returncode == 0:
        phase.result = f"{reference}, there already"
    elif (cached := _cached(reference)).exists():
        docker("load", "--input", str(cached))
        phase.result = f"{reference}, from {cached}"
    else:
        _build(phase, reference)
        _cache(reference)
        phase.result = f"{reference}, built"
    return reference


def existing() -> str | None:
    """Any image of a machine that the engine has: good enough for its tools."""
    return next(iter(_all()), None)


def recipe() -> dict[str, bytes]:
    """Everything that the image depends on: path -> content."""
    files = {path.relative_to(_HERE): path.read_bytes() for path in (_HERE / "image").rglob("*") if path.is_file()}
    files[Path("runc-shim")] = (_HERE / "runc-shim").read_bytes()
    return {str(path): content for path, content in files.items()}


def digest(files: Mapping[str, bytes]) -> str:
    """12 hex digits over names and contents."""
    one_by_one = (f"{name} {hashlib.sha256(files[name]).hexdigest()}\n" for name in sorted(files))
    return hashlib.sha256("".join(one_by_one).encode()).hexdigest()[:12]


def _build(phase: Phase, reference: str) -> None:
    base = _base(phase)
    with tempfile.TemporaryDirectory() as context:
        shutil.copytree(_HERE / "image", context, dirs_exist_ok=True)
        shutil.copy(_HERE / "runc-shim", context)
        run(phase, "docker", "build", "--force-rm", f"--build-arg=BASE={base}", f"--tag={reference}", context)


def _base(phase: Phase) -> str:
    """A Debian to start from: one that was made here earlier, else pulled, else made from packages."""
    packages = (_HERE / "image" / "packages").read_bytes()
    own = f"{REPOSITORY}-base:{digest({'packages': packages})}"
    if attempt("image", "inspect", own).returncode == 0:
        return own
    phase.note(f"pulling {PULLED_BASE}")
    pulled = attempt("pull", "--quiet", PULLED_BASE, timeout=120)
    if pulled.returncode == 0:
        return PULLED_BASE
    _require_debian(pulled.stderr.decode().strip())
    _bootstrap(phase, own, debian.package_names(packages.decode()))
    return own


def _require_debian(refusal: str) -> None:
    if not engine.can_install_packages():
        raise KubeinfraError(
            f"{PULLED_BASE} cannot be pulled ({refusal}): give the engine access to a registry or a mirror of one; "
            "root on Debian or Ubuntu can also make the image from packages"
        )


def _bootstrap(phase: Phase, reference: str, packages: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        tar = Path(directory, "base.tar")
        debian.bootstrap(phase, packages, tar)
        docker("import", str(tar), reference)


def _cached(reference: str) -> Path:
    return CACHE / f"{reference.partition(':')[2]}.tar"


def _cache(reference: str) -> None:
    """Keep the image for the next engine, whole or not at all, and let go of those of older recipes."""
    with whole_path(_cached(reference)) as part:
        docker("save", "--output", str(part), reference)
    for tar in CACHE.glob("*.tar"):
        if tar != _cached(reference):
            tar.unlink()
    for older in _all():
        if older != reference:
            attempt("image", "rm", older)  # refused while a machine runs from it


def _all() -> list[str]:
    return lines("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", REPOSITORY)
