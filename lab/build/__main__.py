"""`python -m lab.build [PATH...]`: build the lab's artifacts for a release, all or those named; print their digests."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from kubeinfra.errors import KubeinfraError
from kubeinfra.releases import catalogue
from lab import inventory

from . import build, stack
from .architecture import ARCHITECTURES, OWN
from .base import Build

CACHE = Path.home() / ".cache/kubeinfra"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.build", description=__doc__)
    parser.add_argument("paths", nargs="*", metavar="PATH", help="such as images/... as they are printed")
    parser.add_argument("--release", metavar="X.Y.Z", help="version of Kubernetes (that of inventory.py)")
    parser.add_argument("--arch", choices=ARCHITECTURES, default=OWN, help="of the machines (%(default)s)")
    parser.add_argument("--into", type=Path, default=CACHE / "built", help="artifact directory (%(default)s)")
    parser.add_argument("--work", type=Path, default=CACHE / "build-work", help="scratch, logs (%(default)s)")
    options = parser.parse_args()
    try:
        release = catalogue.release(options.release) if options.release else _of_inventory()
        wanted = named(stack.builds(release, options.arch), options.paths)
        digests = build(wanted, options.into, options.work, Console(stderr=True))
    except KubeinfraError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped; what is built so far stays, run it again to build the rest")
    for path, digest in digests.items():
        print(path, digest)


def _of_inventory() -> catalogue.Release:
    return inventory.read(Path("inventory.py")).cluster.release


def named(builds: Mapping[str, Build], paths: Sequence[str]) -> list[Build]:
    """Those with these paths, all without any; KubeinfraError for a path without a recipe."""
    if unknown := sorted(set(paths) - builds.keys()):
        choice = "".join(f"\n    {path}" for path in builds)
        raise KubeinfraError(
            f"the lab cannot build {', '.join(unknown)}: put such files into artifacts_dir, "
            f"or ask for what it can build:{choice}"
        )
    return [build for path, build in builds.items() if path in paths or not paths]


if __name__ == "__main__":
    main()
