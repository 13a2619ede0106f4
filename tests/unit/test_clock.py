"""A clock that was off is asked again after chrony had its chance, by shell that runs here with a clock of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_machine import program, shell

from kubeinfra.operations.clock import script

NOW = 1_800_000_000  # the controller's


def clocks(directory: Path, first: int, later: int) -> Path:
    """Programs of a machine whose clock says `first` once, and `later` from then on; only sleep passes its time."""
    asked, up = directory / "asked", directory / "up"
    up.write_text("1000\n")
    program(directory / "programs", "chronyc", 'echo "^? 192.0.2.1 0 6 0 - +0ns"')
    program(directory / "programs", "cut", f"cat {up}")  # what asks /proc/uptime
    program(directory / "programs", "sleep", f"echo $(($(cat {up}) + $1)) >{up}")
    return program(
        directory / "programs", "date", f"if [ -e {asked} ]; then echo {later}; else echo {first}; : >{asked}; fi"
    )


@pytest.mark.parametrize("first", [NOW, NOW - 240, NOW + 239])
def test_a_clock_that_agrees_goes_on_at_once(tmp_path: Path, first: int) -> None:
    ran = shell(script("n1", ["ntp.example.org"], NOW, patience=0), programs=clocks(tmp_path, first, NOW - 9999))
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("first", [NOW - 3600, NOW + 86400, 12])
def test_a_clock_that_chrony_corrects_goes_on_too(tmp_path: Path, first: int) -> None:
    ran = shell(script("n1", ["ntp.example.org"], NOW, patience=30), programs=clocks(tmp_path, first, NOW + 1))
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("clock", "how"),
    [
        (NOW - 3600, "3600 s behind this controller's"),
        (NOW + 86400, "86400 s ahead of this controller's"),
        (NOW - 241, "241 s behind this controller's"),
    ],
)
def test_a_clock_that_stays_wrong_ends_the_run_with_what_chrony_says(tmp_path: Path, clock: int, how: str) -> None:
    ran = shell(script("n1", ["ntp.example.org"], NOW, patience=0), programs=clocks(tmp_path, clock, clock))
    assert ran.returncode == 1
    sentence, sources = ran.stderr.splitlines()
    assert sentence.startswith(f"n1: 0 s after chrony was set up its clock is {how}; certificates need clocks that")
    assert "(ntp.example.org; udp 123)" in sentence
    assert sources.startswith("^?")
