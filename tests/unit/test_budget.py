"""The budget of `make test`."""

import pytest

from tests.budget import verdict


@pytest.mark.parametrize(
    ("seconds", "minutes", "slow", "fits"),
    [(3600, 60, 1.0, True), (3601, 60, 1.0, False), (7000, 60, 2.0, True), (5101, 85, 1.0, False)],
)
def test_the_whole_run_is_within_its_budget_or_over_it(seconds: float, minutes: float, slow: float, fits: bool) -> None:
    found, line = verdict(seconds, minutes, slow)
    assert found is fits
    assert line.startswith(f"total {seconds / 60:.1f} min, {'within' if fits else 'over'} the budget of ")
