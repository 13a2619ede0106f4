"""The images that containers of the lab are started from: Debian with systemd and sshd, and what a kind adds to it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kubeinfra.atomic import whole_path
from kubeinfra.errors import KubeinfraError
from lab import debian, engine
from lab.console import Phase
from lab.docker import attempt, docker, lines
from lab.process import run

CACHE = Path("~/.cache/kubeinfra/lab-image").expanduser()
REPOSITORY = "kubeinfra-machine"
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """
    + name: tells its image from others; none: the one whose tools the lab uses itself
    + suite: Debian's; + parts: directories below lab/parts, which go on where lab/image ends
    + packages: further ones
    """

    name: str = ""
    suite: str = debian.SUITE
    parts: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    @property
    def repository(self) -> str:
        """Of its images in the engine."""
        return "-".join(filter(None, (REPOSITORY, self.name)))

    @property
    def pulled_base(self) -> str:
        return f"debian:{self.suite}-slim"

    @property
    def cache(self) -> Path:
        return CACHE / self.name

    @property
    def wanted_packages(self) -> str:
        """Names as a file has them, a line each."""
        files = [_HERE / "image", *(_HERE / "parts" / part for part in self.parts)]
        texts = [(directory / "packages").read_text() for directory in files]
        return "".join([*texts, *(f"{name}\n" for name in self.packages)])

    def files(self) -> dict[str, bytes]:
        """Everything that the image depends on: path -> content."""
        directories = [_HERE / "image", *(_HERE / "parts" / part for part in self.parts)]
        paths = [path for directory in directories for path in directory.rglob("*") if _counts(path)]
        files = {str(path.relative_to(_HERE)): path.read_bytes() for path in [*paths, _HERE / "runc-shim"]}
        return {**files, "packages": self.wanted_packages.encode(), "suite": self.suite.encode()}


def provide(phase: Phase, recipe: Recipe) -> str:
    """
    Make sure that the engine has the image of this recipe: there, from the cache, or built. Gives its reference.

    Raises KubeinfraError where neither an image can be pulled nor Debian's packages be had.
    """
    reference = f"{recipe.repository}:{digest(recipe.files())}"
    if attempt("image", "inspect", reference).returncode == 0:
        phase.result = f"{reference}, there already"
    elif (cached := _cached(recipe, reference)).exists():
        docker("load", "--input", str(cached))
        phase.result = f"{reference}, from {cached}"
    else:
        _build(phase, recipe, reference)
        _cache(recipe, reference)
        phase.result = f"{reference}, built"
    return reference


def existing() -> str | None:
    """Any image of a machine that the engine has: good enough for its tools."""
    return next(iter(_all(REPOSITORY)), None)


def digest(files: Mapping[str, bytes]) -> str:
    """12 hex digits over names and contents."""
    one_by_one = (f"{name} {hashlib.sha256(files[name]).hexdigest()}\n" for name in sorted(files))
    return hashlib.sha256("".join(one_by_one).encode()).hexdigest()[:12]


def _build(phase: Phase, recipe: Recipe, reference: str) -> None:
    base = _base(phase, recipe)
    with tempfile.TemporaryDirectory() as context:
        shutil.copytree(_HERE / "image", context, dirs_exist_ok=True)
        shutil.copy(_HERE / "runc-shim", context)
        Path(context, "packages").write_text(recipe.wanted_packages)
        Path(context, "parts").mkdir()
        for part in recipe.parts:
            shutil.copytree(_HERE / "parts" / part, Path(context, "parts", part))
        run(phase, "docker", "build", "--force-rm", f"--build-arg=BASE={base}", f"--tag={reference}", context)


def _base(phase: Phase, recipe: Recipe) -> str:
    """A Debian to start from: one that was made here earlier, else pulled, else made from packages."""
    content = {"packages": recipe.wanted_packages.encode(), "suite": recipe.suite.encode()}
    own = f"{recipe.repository}-base:{digest(content)}"
    if attempt("image", "inspect", own).returncode == 0:
        return own
    phase.note(f"pulling {recipe.pulled_base}")
    pulled = attempt("pull", "--quiet", recipe.pulled_base, timeout=120)
    if pulled.returncode == 0:
        return recipe.pulled_base
    _require_debian(recipe, pulled.stderr.decode().strip())
    _bootstrap(phase, recipe, own)
    return own


def _require_debian(recipe: Recipe, refusal: str) -> None:
    if not engine.can_install_packages():
        raise KubeinfraError(
            f"{recipe.pulled_base} cannot be pulled ({refusal}): give the engine access to a registry or a mirror of "
            "one; root on Debian or Ubuntu can also make the image from packages"
        )


def _bootstrap(phase: Phase, recipe: Recipe, reference: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        tar = Path(directory, "base.tar")
        debian.bootstrap(phase, debian.package_names(recipe.wanted_packages), tar, suite=recipe.suite)
        docker("import", str(tar), reference)


def _counts(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def _cached(recipe: Recipe, reference: str) -> Path:
    return recipe.cache / f"{reference.partition(':')[2]}.tar"


def _cache(recipe: Recipe, reference: str) -> None:
    """Keep the image for the next engine, whole or not at all, and let go of those of older recipes."""
    recipe.cache.mkdir(parents=True, exist_ok=True)
    with whole_path(_cached(recipe, reference)) as part:
        docker("save", "--output", str(part), reference)
    for tar in recipe.cache.glob("*.tar"):
        if tar != _cached(recipe, reference):
            tar.unlink()
    for older in _all(recipe.repository):
        if older != reference:
            attempt("image", "rm", older)  # refused while a machine runs from it


def _all(repository: str) -> list[str]:
    return lines("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository)
