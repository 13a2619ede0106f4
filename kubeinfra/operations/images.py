"""Container images as tar files: sent to the nodes that lack them, and loaded once the runtime runs."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation

from kubeinfra.artifacts.images import Image
from kubeinfra.components.runtime import Runtime
from kubeinfra.facts.images import ImageIds
from kubeinfra.paths import IMAGES
from kubeinfra.run.controller import store
from kubeinfra.run.inventory import as_pyinfra_error
from kubeinfra.run.plan import announce

Commands = Generator[StringCommand | FileUploadCommand, None, None]


@operation()
def stage(references: Sequence[str], arch: str, runtime: Runtime) -> Commands:
    """
    Send the image tars that the host's runtime lacks; `load` loads them once it runs.

    + references: images; one without a tar file is left to be pulled
    """
    lacking = _lacking(references, arch, runtime)
    for image in lacking:
        announce(f"send image {image.label}")
    if lacking:
        yield StringCommand("install", "-d", "-m", "755", IMAGES)
    for image in lacking:  # a plan goes no further than the line before
        yield FileUploadCommand(str(store().gzip_copy(image)), f"{_staged(image)}.part")
        yield StringCommand("mv", "-f", f"{_staged(image)}.part", _staged(image))


@operation()
def load(references: Sequence[str], arch: str, runtime: Runtime) -> Commands:
    """
    Load the images that were sent into the runtime; a tar that was loaded is removed.

    + references: as for `stage`
    """
    lacking = _lacking(references, arch, runtime)
    if not lacking:
        host.noop("images are loaded")
        return
    for image in lacking:
        announce(f"load image {image.label}")
    yield StringCommand("sh", "-ec", QuoteString(runtime.load_images([_staged(image) for image in lacking])))


def _lacking(references: Sequence[str], arch: str, runtime: Runtime) -> list[Image]:
    """Those with a tar file here that the runtime does not have; without one the nodes pull."""
    with as_pyinfra_error():
        images = [image for reference in references if (image := store().image(reference, arch))]
    if not images:
        return []
    asked = runtime.image_ids([image.reference for image in images])
    found: dict[str, str] = host.get_fact(ImageIds, asked=asked)
    return [image for image in images if found.get(image.reference) != image.image_id]


def _staged(image: Image) -> str:
    return f"{IMAGES}/{image.sha256}.tar.gz"
