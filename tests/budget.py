"""`make test`: its parts one after the other, or side by side; the minutes of each, and whether all fit the budget."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.cluster.settings import Settings
from lab.artifacts import BUILT, CACHE, wanted
from lab.build import missing

# Written by the first release that is unpacked: without it, all must be built or fetched first.
INDEX = CACHE / "index.json"
# Those that tests/lab deploys.
RELEASES = ("1.20.15", "1.37.2")
# On two cores. A machine that others share may take longer, and then it is this that says so.
WARM_MINUTES = 60.0
COLD_MINUTES = 85.0


class Part(NamedTuple):
    """A target of the Makefile that has run; `output` is empty if it was shown while it ran."""

    target: str
    code: int
    seconds: float
    output: str


def is_warm() -> bool:
    """Whether what these releases need was fetched or built before."""
    clusters = (Cluster((), Settings(kubernetes_version=version)) for version in RELEASES)
    needed = [one for cluster in clusters for one in wanted(cluster)]
    return INDEX.exists() and not (BUILT.exists() and missing(needed, BUILT))


def verdict(seconds: float, minutes: float) -> tuple[bool, str]:
    """Whether the whole time is within so many minutes, and one line."""
    fits = seconds <= minutes * 60
    return fits, f"total {seconds / 60:.1f} min, {'within' if fits else 'over'} the budget of {minutes:.0f} min"


def run(target: str, shown: bool = True) -> Part:
    """Run one target, and show what it prints; or keep that for later, and give others the processor before it."""
    began = time.monotonic()
    done = subprocess.run(
        [*([] if shown else ["nice", "-n", "15"]), "make", "--no-print-directory", target],
        stdout=None if shown else subprocess.PIPE,
        stderr=None if shown else subprocess.STDOUT,
        text=True,
    )
    return Part(target, done.returncode, time.monotonic() - began, done.stdout or "")


def side_by_side(targets: Sequence[str]) -> list[Part]:
    """
    Run these targets at once. The first, which has a use for quiet, is shown while it runs, the others when all have
    ended: they get what it leaves of the processor.
    """
    with ThreadPoolExecutor(len(targets)) as pool:
        running = [pool.submit(run, target, shown=target == targets[0]) for target in targets]
        parts = [one.result() for one in running]
    for part in parts[1:]:
        print(f"\n=== {part.target}, meanwhile:", part.output, sep="\n", flush=True)
    return parts


def main(stages: Sequence[str]) -> int:
    """
    Run the targets of each stage, "lab-test+quick" side by side, until a stage has one that fails.

    Gives the exit code: 1 as well if it took too long.
    """
    minutes = WARM_MINUTES if is_warm() else COLD_MINUTES
    started, lines = time.monotonic(), []
    for stage in stages:
        parts = side_by_side(stage.split("+"))
        lines += [f"{part.target:14}{part.seconds / 60:5.1f} min" for part in parts]
        if failed := [part for part in parts if part.code]:
            print("", *lines, f"failed: {', '.join(part.target for part in failed)}", sep="\n")
            return failed[0].code
    fits, line = verdict(time.monotonic() - started, minutes)
    print("", *lines, line, sep="\n")
    return 0 if fits else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
