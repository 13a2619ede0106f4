"""The budget of `make test`."""

import pytest

from tests.budget import verdict


@pytest.mark.parametrize(
    ("seconds", "minutes", "fits"), [(3600, 60, True), (3601, 60, False), (5100, 85, True), (5101, 85, False)]
)
def test_the_whole_run_is_within_its_budget_or_over_it(seconds: float, minutes: float, fits: bool) -> None:
    found, line = verdict(seconds, minutes)
    assert found is fits
    assert line == f"total {seconds / 60:.1f} min, {'within' if fits else 'over'} the budget of {minutes:.0f} min"
