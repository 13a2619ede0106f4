"""
`make test`: its parts one after the other, the seconds of each, and whether they stay within the budget.

The budget is for two cores that nobody shares: it grows with how slow the machine is found to be.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).with_name("lab")))

from invocation import slowness

# Written by the first release that is unpacked: without it, all must be built or fetched first.
CACHE = Path("~/.cache/kubeinfra/index.json").expanduser()
WARM_MINUTES = 60.0
COLD_MINUTES = 85.0


def verdict(seconds: float, minutes: float, slow: float) -> tuple[bool, str]:
    """Whether the whole time is within so many minutes on a machine that is so slow (1: quiet cores), and one line."""
    fits = seconds <= minutes * slow * 60
    found = f"total {seconds / 60:.1f} min, {'within' if fits else 'over'} the budget"
    return fits, f"{found} of {minutes * slow:.0f} min ({minutes:.0f} min, slowness {slow:.1f})"


def main(targets: Sequence[str]) -> int:
    """Run these targets of the Makefile until one fails; gives the exit code: 1 as well if it took too long."""
    minutes = WARM_MINUTES if CACHE.exists() else COLD_MINUTES
    slow, started, lines = slowness(), time.monotonic(), []
    for target in targets:
        began = time.monotonic()
        done = subprocess.run(["make", "--no-print-directory", target])
        if done.returncode:
            return done.returncode
        lines.append(f"{target:10}{(time.monotonic() - began) / 60:5.1f} min")
    fits, line = verdict(time.monotonic() - started, minutes, (slow + slowness()) / 2)
    print("", *lines, line, sep="\n")
    return 0 if fits else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
