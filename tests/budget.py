"""`make test`: its parts one after the other, the minutes of each, and whether they stay within the budget."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# Written by the first release that is unpacked: without it, all must be built or fetched first.
CACHE = Path("~/.cache/kubeinfra/index.json").expanduser()
# On two cores. A machine that others share may take longer, and then it is this that says so.
WARM_MINUTES = 60.0
COLD_MINUTES = 85.0


def verdict(seconds: float, minutes: float) -> tuple[bool, str]:
    """Whether the whole time is within so many minutes, and one line."""
    fits = seconds <= minutes * 60
    return fits, f"total {seconds / 60:.1f} min, {'within' if fits else 'over'} the budget of {minutes:.0f} min"


def main(targets: Sequence[str]) -> int:
    """Run these targets of the Makefile until one fails; gives the exit code: 1 as well if it took too long."""
    minutes = WARM_MINUTES if CACHE.exists() else COLD_MINUTES
    started, lines = time.monotonic(), []
    for target in targets:
        began = time.monotonic()
        done = subprocess.run(["make", "--no-print-directory", target])
        if done.returncode:
            return done.returncode
        lines.append(f"{target:10}{(time.monotonic() - began) / 60:5.1f} min")
    fits, line = verdict(time.monotonic() - started, minutes)
    print("", *lines, line, sep="\n")
    return 0 if fits else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
