"""`python -m lab.build [PATH...]`: build the lab's artifacts, all or those named, and print their digests."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from kubeinfra.errors import KubeinfraError

from . import BUILDS, build

CACHE = Path.home() / ".cache/kubeinfra"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.build", description=__doc__)
    parser.add_argument("paths", nargs="*", metavar="PATH", help=f"one or more of: {', '.join(BUILDS)}")
    parser.add_argument("--into", type=Path, default=CACHE / "built", help="artifact directory (%(default)s)")
    parser.add_argument("--work", type=Path, default=CACHE / "build-work", help="scratch, logs (%(default)s)")
    options = parser.parse_args()
    try:
        digests = build(options.paths or BUILDS, options.into, options.work, Console(stderr=True))
    except KubeinfraError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped; what is built so far stays, run it again to build the rest")
    for path, digest in digests.items():
        print(path, digest)


if __name__ == "__main__":
    main()
