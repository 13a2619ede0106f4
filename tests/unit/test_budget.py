"""The budget of `make test`, and its parts."""

from pathlib import Path

import pytest

from tests.budget import main, verdict

MAKEFILE = """\
first: ; @touch first; while [ ! -e second ]; do sleep 0.01; done; echo first has seen it
second: ; @touch second; while [ ! -e first ]; do sleep 0.01; done; echo second has seen it
wrong: ; @echo it went wrong; exit 1
last: ; @touch last
"""


@pytest.fixture(autouse=True)
def makefile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("seconds", "minutes", "fits"), [(3600, 60, True), (3601, 60, False), (5100, 85, True), (5101, 85, False)]
)
def test_the_whole_run_is_within_its_budget_or_over_it(seconds: float, minutes: float, fits: bool) -> None:
    found, line = verdict(seconds, minutes)
    assert found is fits
    assert line == f"total {seconds / 60:.1f} min, {'within' if fits else 'over'} the budget of {minutes:.0f} min"


def test_parts_of_a_stage_run_at_once_and_all_are_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["first+second", "last"]) == 0
    shown = capfd.readouterr().out
    assert "first has seen it" in shown and "second has seen it" in shown
    assert Path("last").exists() and "total 0.0 min, within the budget" in shown


def test_nothing_follows_a_stage_with_a_part_that_failed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["second+first+wrong", "last"]) != 0
    shown = capfd.readouterr().out
    assert "it went wrong" in shown and "failed: wrong" in shown and "budget" not in shown
    assert not Path("last").exists()
