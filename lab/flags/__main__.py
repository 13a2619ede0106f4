"""`python -m lab.flags [MINOR...]`: write tests/data/flags/<minor>.json, of those named or all that are missing."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

from kubeinfra.atomic import write_whole
from kubeinfra.errors import KubeinfraError
from kubeinfra.releases.catalogue import NEWEST
from lab import inventory
from lab.build.stack import as_module
from lab.build.workspace import Workspace
from lab.flags import collect

DATA = Path("tests/data/flags")
WORK = Path.home() / ".cache/kubeinfra/build-work"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.flags", description=__doc__)
    parser.add_argument("minors", nargs="*", metavar="MINOR", help=f"of {', '.join(NEWEST)}")
    options = parser.parse_args()
    if unknown := sorted(set(options.minors) - NEWEST.keys()):
        sys.exit(f"no such minor: {', '.join(unknown)}; there are {', '.join(NEWEST)}")
    try:
        wanted = options.minors or [one for one in NEWEST if not _file(one).exists()]
        sys.exit(1 if [problem for minor in wanted for problem in _write(minor)] else 0)
    except KubeinfraError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped; what is written so far stays, run it again to go on")


def _write(minor: str) -> list[str]:
    """Write the file of one minor; gives what its components refuse."""
    version = as_module(NEWEST[minor])
    print(f"{minor}: building {version}, about 6 min", flush=True)
    started = time.monotonic()
    cluster = inventory.read(Path("inventory.py"), {"kubernetes_version": version}).cluster
    work = Workspace(WORK / f"flags-{minor}", WORK / f"flags-{minor}.log")
    shutil.rmtree(work.scratch, ignore_errors=True)
    work.scratch.mkdir(parents=True)
    work.log.write_text("")
    programs = collect.build(cluster, work)
    DATA.mkdir(parents=True, exist_ok=True)
    write_whole(_file(minor), json.dumps(collect.told(cluster, programs, work), indent=1, sort_keys=True) + "\n")
    refused = sorted(set(collect.refused(cluster, programs)))
    shutil.rmtree(work.scratch)
    print(f"{minor}: {_file(minor)} in {time.monotonic() - started:.0f} s", *refused, sep="\n  ", flush=True)
    return refused


def _file(minor: str) -> Path:
    return DATA / f"{minor}.json"


if __name__ == "__main__":
    main()
