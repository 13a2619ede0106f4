"""One artifact that can be built, and what it is built by."""

import ast
import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .architecture import OWN
from .workspace import Workspace

# Raise it when a change to the helpers (go, debian, archive, images) changes what the recipes make.
EDITION = 1
Recipe = Callable[[Path, Workspace], None]


@dataclass(frozen=True)
class Build:
    """
    One artifact that can be built.

    path: its place below an artifact directory
    recipe: writes the artifact to the path that it is given; a `partial` where a page makes several versions
    minutes: about how long that takes from nothing, on two cores
    packages: Debian packages that must be installed on this machine for it
    arch: the architecture that it is for
    """

    path: str
    recipe: Recipe
    minutes: float
    packages: tuple[str, ...] = ()
    arch: str = OWN

    @property
    def key(self) -> str:
        """
        Changes with the code of the recipe's page (not with its comments), and with what the page is told of this
        version (not of others): then the artifact is built again.
        """
        function, told = (self.recipe.func, self.recipe.args) if isinstance(self.recipe, partial) else (self.recipe, ())
        page = ast.dump(ast.parse(Path(inspect.getfile(function)).read_bytes()))
        return hashlib.sha256(" ".join([str(EDITION), page, *map(repr, told)]).encode()).hexdigest()
