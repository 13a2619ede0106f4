"""The contracts of import-linter (pyproject.toml, `make check`) cover every package of the library."""

from __future__ import annotations

import tomllib
from pathlib import Path
from pkgutil import iter_modules

ROOT = Path(__file__).resolve().parents[2]
SPEAK_TO_PYINFRA = {"run", "facts", "operations", "__main__"}


def test_every_other_package_is_in_the_contract_of_the_pure_ones() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (pure,) = (contract for contract in contracts if "pyinfra" in contract.get("forbidden_modules", []))
    there = {module.name for module in iter_modules([str(ROOT / "kubeinfra")])}
    assert {f"kubeinfra.{name}" for name in there - SPEAK_TO_PYINFRA} == set(pure["source_modules"])
