"""For all unit tests."""

from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("kubeinfra", deadline=None)
settings.load_profile("kubeinfra")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Where a `Store` keeps its downloads; not created yet."""
    return tmp_path / "cache"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """An empty `artifacts_dir`."""
    (tmp_path / "own").mkdir()
    return tmp_path / "own"
