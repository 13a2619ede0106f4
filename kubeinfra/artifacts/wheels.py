"""Python packages for a controller that reaches no package index, as wheels for the Python that runs this."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from kubeinfra.errors import KubeinfraError


def collect(checkout: Path, directory: Path) -> list[Path]:
    """
    Put the packages of constraints.txt, and what the checkout itself is built with, into a directory.

    Where they come from is pip's own configuration. KubeinfraError with what pip says if one cannot be had.
    """
    build = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    pip = [sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check"]
    wanted = ["--requirement", str(checkout / "constraints.txt"), *build]
    done = subprocess.run([*pip, "wheel", "--wheel-dir", str(directory), *wanted], capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or done.stderr.splitlines()
        why = said[-1].removeprefix("ERROR: ") if said else f"exit code {done.returncode}"
        raise KubeinfraError(f"{checkout / 'constraints.txt'}: pip cannot have its packages: {why}")
    return sorted(directory.iterdir())
