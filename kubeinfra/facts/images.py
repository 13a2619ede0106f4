"""Images on a machine."""

from __future__ import annotations

from pyinfra.api import FactBase


class ImageIds(FactBase[dict[str, str]]):
    """
    Images that the container runtime has: reference -> ID ("sha256:<hex>"). Empty if it does not run yet.

    + asked: the runtime's own question, `Runtime.image_ids`
    """

    default = dict

    def command(self, asked: str) -> str:
        return asked

    def process(self, output: list[str]) -> dict[str, str]:
        return dict(line.split(" ") for line in output if line)
