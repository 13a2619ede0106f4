"""Code, messages and comments use the words of the Kubernetes documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    *(path for name in ("kubeinfra", "tasks", "day2", "lab", "docs") for path in (ROOT / name).rglob("*.py")),
    *ROOT.glob("*.py"),
]
# Not in a path or a flag, such as certificate-authority, nor in the name of a directory of older clusters.
OTHER_WORDS = re.compile(r"(?<![\w\"/-])(authorit(?:y|ies)|mistakes?|persons?|beside|anew)(?![\w\"/-])", re.IGNORECASE)


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in sorted(SOURCES)])
def test_code_uses_the_words_of_kubernetes(path: Path) -> None:
    found = [line.strip() for line in path.read_text().splitlines() if OTHER_WORDS.search(line)]
    assert found == [], "CA; error or problem; user or you; next to; again or new"


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ('"""Keep this beside the authority."""', True),
        ("# A mistake that a person makes, made anew.", True),
        ('"certificate-authority-data"', False),
        ('directory / "authorities" / name', False),
        ("authorities/<name>/ca.pem", False),
    ],
)
def test_what_is_looked_for_is_found(line: str, is_found: bool) -> None:
    assert bool(OTHER_WORDS.search(line)) == is_found
