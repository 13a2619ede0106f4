"""
Builds the lab's artifacts from Go modules and Debian packages, for machines that reach nothing else.

Each recipe is a page, such as kubernetes.py or etcd.py, and it runs what it has made; stack.py has which of them make
what goes with a Kubernetes release.
"""

import platform
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from kubeinfra.atomic import locked, whole_file
from kubeinfra.errors import KubeinfraError

from . import debian, index
from .base import Build
from .workspace import Workspace

_index = threading.Lock()
# While one build downloads or links, another compiles.
AT_ONCE = 2


def build(wanted: Iterable[Build], into: Path, work: Path, console: Console) -> dict[str, str]:
    """
    Build those artifacts that are missing in the directory `into`, or were built by an older recipe.

    wanted: in the order in which they are begun
    work: a directory for scratch space, logs, and the lock that lets only one build run at a time

    Returns path -> "sha256:<hex>" for all of them. KubeinfraError for missing tools and a failed command. An
    interrupted build leaves nothing under a final name.
    """
    wanted = list(wanted)
    if lacking := missing(wanted, into):
        _need_x86_64()
        with locked(work / "lock", lambda: _say(console, f"another build is running in {work}; waiting for it")):
            lacking = missing(wanted, into)  # another process may have built them meanwhile
            with _clocks(console) as clocks, ThreadPoolExecutor(AT_ONCE) as pool:
                failed = threading.Event()
                builds = [
                    pool.submit(_build_and_tell, one, f"{number}/{len(lacking)}", into, work, clocks, failed)
                    for number, one in enumerate(lacking, 1)
                ]
            for one_build in builds:
                one_build.result()
    return {one.path: digest for one in wanted if (digest := index.digest(into, one.path, one.key))}


def missing(wanted: list[Build], into: Path) -> list[Build]:
    """Those that are not in this directory, or were made by another recipe."""
    return [one for one in wanted if index.digest(into, one.path, one.key) is None]


def _build(one: Build, into: Path, work: Path) -> None:
    name, key = one.path.replace("/", "_"), one.key  # the file's own name is that of other versions too
    workspace = Workspace(work / name, work / f"{name}.log", one.arch)
    shutil.rmtree(workspace.scratch, ignore_errors=True)
    workspace.scratch.mkdir(parents=True)
    workspace.log.write_text("")
    debian.require((*one.packages, *workspace.architecture.tools), workspace)
    product = workspace.scratch / "product"
    one.recipe(product, workspace)
    with product.open("rb") as built, whole_file(into / one.path) as file:
        shutil.copyfileobj(built, file)
    with _index:
        index.add(into, one.path, key)
    shutil.rmtree(workspace.scratch)


def _need_x86_64() -> None:
    if platform.machine() != "x86_64":
        raise KubeinfraError(
            f"this machine is {platform.machine()}; the lab builds artifacts on x86_64 only: "
            "put upstream's files for your machines into artifacts_dir"
        )


def _clocks(console: Console) -> Progress:
    """On a terminal a running clock for each build; elsewhere nothing, see `_sign_of_life`."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _build_and_tell(one: Build, count: str, into: Path, work: Path, clocks: Progress, failed: threading.Event) -> None:
    """
    A line before and a line after; between them a clock on a terminal, elsewhere a line now and then.

    failed: set when a build has failed, and no other is to begin
    """
    if failed.is_set():
        return
    about = f"{one.minutes:g} min" if one.minutes >= 1 else f"{one.minutes * 60:.0f} s"
    _say(clocks.console, f"building {one.path} ({count}, about {about})")
    started = time.monotonic()
    clock = clocks.add_task(Path(one.path).name, total=None)
    try:
        with _sign_of_life(one, started, clocks.console):
            _build(one, into, work)
    except KubeinfraError:
        failed.set()
        _say(clocks.console, f"{one.path} has failed; other builds that have begun are waited for")
        raise
    finally:
        clocks.remove_task(clock)
    _say(clocks.console, f"built {one.path} in {time.monotonic() - started:.0f} s")


@contextmanager
def _sign_of_life(one: Build, started: float, console: Console) -> Iterator[None]:
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(30):
            _say(console, f"still building {one.path}: {time.monotonic() - started:.0f} s")

    if not console.is_terminal:
        threading.Thread(target=tell, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)
