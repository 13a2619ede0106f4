"""
Where binaries and images come from: the user's artifacts_dir, the cache, upstream or a mirror of it.

    <artifacts_dir or cache_dir>/<name>/<version>/<file>    archives, see `Artifact.path`
    <artifacts_dir or cache_dir>/images/<file>              images, see `image_path`
    <cache_dir>/extracted/<pin>/<binary>                    what was in an archive
    <cache_dir>/gzip/<sha256 of the plain file>.gz          copies for the way to the hosts
    <cache_dir>/index.json                                  digests, see `Index`
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from kubeinfra.artifacts import download, registry
from kubeinfra.artifacts.archives import Member, compress, place, unpack, unpacked
from kubeinfra.artifacts.digests import Index, is_digest
from kubeinfra.artifacts.download import Progress
from kubeinfra.artifacts.images import Image, image_id, image_path
from kubeinfra.artifacts.sources import Pin, Sources
from kubeinfra.atomic import locked
from kubeinfra.errors import KubeinfraError
from kubeinfra.releases.catalogue import Artifact

Wanted = TypeVar("Wanted")
Found = TypeVar("Found")


@dataclass(frozen=True)
class PlannedBinary:
    """A binary as far as it is known without network and writes: what a plan compares with a host."""

    name: str
    """Of the binary; of the artifact if the names in it are not known yet."""
    version: str
    """As shown to users, such as "1.2.3" or "1.2.3 (built)"."""
    archive: str
    """The pin of the archive that it comes from; its URL if the pin is not known yet either."""
    sha256: str | None
    """In hex; None until the archive was fetched."""


@dataclass(frozen=True)
class Binary:
    """A binary on the controller, ready to be sent."""

    name: str
    version: str
    """As shown to users, such as "1.2.3" or "1.2.3 (built)"."""
    archive: str
    """The pin of the archive that it comes from."""
    sha256: str
    """In hex, of the plain file."""
    size: int
    """In bytes, of the plain file."""
    path: Path
    gzip_path: Path


class Store:
    """
    The artifacts of one cluster.

    + cache_dir: created if missing; several processes may use it at the same time
    + artifacts_dir: filled by hand, only read; a file there with a wrong digest is an error
    + mirror: URL prefix that takes the place of scheme and host of upstream's URLs, and keeps their paths:
      with "https://mirror.example/k8s", https://dl.k8s.io/v1/x is https://mirror.example/k8s/v1/x. "{host}"
      in it stands for upstream's host: "https://mirror.example/{host}" gives https://mirror.example/dl.k8s.io/v1/x
    + own_builds: "<name>/<version>/<file>" or "images/<file>" -> "sha256:<hex>" of what the user built: takes
      the place of the release's pin; such a file is not looked for upstream, and its version says "(built)"
    + progress: called during whatever takes longer than a second or two

    Raises one KubeinfraError for all invalid settings.
    """

    def __init__(
        self,
        cache_dir: Path,
        artifacts_dir: Path | None = None,
        mirror: str | None = None,
        own_builds: Mapping[str, str] = MappingProxyType({}),
        progress: Progress = lambda what, done, total: None,
    ) -> None:
        # All hosts run in one thread: a host that waits for the lock file would block the host that holds it.
        self._turn = threading.Lock()
        self.sources = Sources(cache_dir, artifacts_dir, mirror, own_builds, progress, Index(cache_dir / "index.json"))
        if problems := list(_problems(self.sources)):
            raise KubeinfraError(*problems)

    def version_label(self, artifact: Artifact) -> str:
        """The version as shown to users: followed by " (built)" if it is not upstream's file."""
        return artifact.version + self._built(artifact.path)

    def wanted(self, artifact: Artifact) -> list[PlannedBinary]:
        """
        The binaries of an artifact, for a plan: no network, no writes.

        Before the archive was fetched their digests are None, and if the release does not list its content
        (CNI plugins) there is one entry for all. KubeinfraError if artifacts_dir has another digest.
        """
        pin = self.sources.pin(artifact)
        archive = pin.digest if pin else self.sources.url(artifact.url)
        version = self.version_label(artifact)
        if pin and (members := self._unpacked(artifact, pin)):
            return [PlannedBinary(member.name, version, archive, member.sha256) for member in members]
        return [PlannedBinary(name, version, archive, None) for name in sorted(artifact.members) or [artifact.name]]

    def fetch_all(self, artifacts: Iterable[Artifact]) -> dict[Artifact, list[Binary]]:
        """Make these ready ahead of time: `binaries` of each; one KubeinfraError has all errors."""
        return _each(artifacts, self.binaries)

    def archives(self, artifacts: Iterable[Artifact]) -> dict[Artifact, tuple[Path, Pin]]:
        """The files themselves, not unpacked, each with what it was checked against; one error has all errors."""
        with self._locked():
            return _each(artifacts, self.sources.fetch)

    def needs_checksum(self, artifact: Artifact) -> bool:
        """Whether an artifacts_dir must have upstream's checksum file too: nothing else says this file's digest."""
        return not artifact.digest and artifact.path not in self.sources.own_builds

    def binaries(self, artifact: Artifact) -> list[Binary]:
        """
        The binaries of an artifact, in order of their names, ready to be sent.

        What is missing is fetched, unpacked and compressed first; after that it costs milliseconds.
        KubeinfraError if the archive is nowhere (says why at each place, and where to put it), if the one in
        artifacts_dir has a wrong digest, or if it is not of upstream's form.
        """
        with self._locked():
            pin = self.sources.pin(artifact)
            members = self._unpacked(artifact, pin) if pin else None
            if pin is None or members is None:
                archive, pin = self.sources.fetch(artifact)
                members = self._unpack(artifact, archive, pin)
            copies = self._gzip_copies({member.path: member.sha256 for member in members})
        version = self.version_label(artifact)
        return [
            Binary(file.name, version, pin.digest, file.sha256, file.size, file.path, copies[file.path])
            for file in members
        ]

    def image(self, reference: str, arch: str) -> Image | None:
        """
        The tar file of an image, from artifacts_dir or the cache; None without one: nodes pull themselves.

        No network, no writes. KubeinfraError if it is not the image that its name says, or if own_builds has
        it and it is not there or has another digest.
        """
        name = image_path(reference, arch)
        for directory in filter(None, (self.sources.artifacts_dir, self.sources.cache_dir)):
            if (path := directory / name).exists():
                return self._image(path, name, reference, arch)
        if name in self.sources.own_builds:
            raise KubeinfraError(
                f"image {reference}: own_builds lists {name}, which is not in artifacts_dir "
                f"{self.sources.artifacts_dir}: put it there, or remove it from own_builds"
            )
        return None

    def fetch_images(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Image]:
        """
        The tar files of these images (reference, architecture); what is nowhere is downloaded into the cache.

        One KubeinfraError has all errors: no tool for it, or what the tool says.
        """
        here = _each(wanted, lambda one: self.image(*one))
        if missing := [one for one, found in here.items() if found is None]:
            tool = registry.tool()
            if tool is None:
                raise KubeinfraError(_no_tool([image_path(*one) for one in missing], self.sources))
            with self._locked():
                _each(missing, lambda one: self._pull(tool, *one))
        return {one: found for one in here if (found := self.image(*one))}

    def _pull(self, tool: str, reference: str, arch: str) -> None:
        self.sources.progress(f"downloading image {reference} for {arch}", 0, None)
        registry.pull(tool, reference, arch, self.sources.cache_dir / image_path(reference, arch))

    def gzip_copy(self, image: Image) -> Path:
        """A compressed copy of an image's tar file, made once; `docker load` reads it too."""
        with self._locked():
            self.sources.index.digest(image.path, "sha256")  # so that the next run need not hash it
            return self._gzip_copies({image.path: image.sha256})[image.path]

    def reachable(self, artifact: Artifact, timeout: float) -> bool:
        """Whether upstream (or the mirror) offers this file; no answer within `timeout` seconds is a no."""
        return download.reachable(self.sources.url(artifact.url), timeout)

    def _image(self, path: Path, name: str, reference: str, arch: str) -> Image:
        if name in self.sources.own_builds:
            self.sources.check(path, Pin(self.sources.own_builds[name], "own_builds"))
        return Image(
            reference=reference,
            label=reference + self._built(name),
            image_id=image_id(path, reference, arch),
            path=path,
            sha256=self.sources.index.digest(path, "sha256").removeprefix("sha256:"),
        )

    def _built(self, path: str) -> str:
        return " (built)" if path in self.sources.own_builds else ""

    def _directory(self, pin: Pin) -> Path:
        return self.sources.cache_dir / "extracted" / pin.digest.replace(":", "-")

    def _unpacked(self, artifact: Artifact, pin: Pin) -> list[Member] | None:
        """What has been unpacked before; a wrong file in artifacts_dir is still an error."""
        if own := self.sources.in_artifacts_dir(artifact):
            self.sources.check(own, pin)
        members = unpacked(self._directory(pin))
        if members and artifact.members and {member.name for member in members} != set(artifact.members):
            return None  # unpacked by a version of this program that extracted other members
        return members

    def _unpack(self, artifact: Artifact, archive: Path, pin: Pin) -> list[Member]:
        directory = self._directory(pin)
        if (members := self._unpacked(artifact, pin)) is None:
            self.sources.progress(f"unpacking {archive.name}", 0, None)
            if artifact.is_archive:
                unpack(archive, artifact.members, directory)
            else:
                place(archive, artifact.name, directory)
            members = unpacked(directory)
        assert members is not None, f"{directory} was just written"
        return members

    def _gzip_copies(self, files: Mapping[Path, str]) -> dict[Path, Path]:
        """The copy of each file; files: path -> SHA-256 in hex."""
        copies = {path: self.sources.cache_dir / "gzip" / f"{sha256}.gz" for path, sha256 in files.items()}
        missing = {copy: path for path, copy in copies.items() if not copy.exists()}
        if missing:
            self.sources.progress(f"compressing {', '.join(path.name for path in missing.values())}", 0, None)
            compress(missing)
        return copies

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the cache against other processes; the index is saved at the end."""
        path = self.sources.cache_dir / "lock"

        def busy() -> None:
            self.sources.progress(f"waiting for another process that fills {path.parent}", 0, None)

        with self._turn, locked(path, busy):
            self.sources.index.reload()
            try:
                yield
            finally:
                self.sources.index.save()


def _each(wanted: Iterable[Wanted], act: Callable[[Wanted], Found]) -> dict[Wanted, Found]:
    """What `act` gives for each; one KubeinfraError has the errors of all."""
    found: dict[Wanted, Found] = {}
    problems: list[str] = []
    for one in wanted:
        try:
            found[one] = act(one)
        except KubeinfraError as error:
            problems += error.problems
    if problems:
        raise KubeinfraError(*problems)
    return found


def _no_tool(files: list[str], sources: Sources) -> str:
    tools, place = " nor ".join(registry.TOOLS), sources.artifacts_dir or sources.cache_dir
    return (
        f"{len(files)} images have no tar file here, and neither {tools} is on PATH to download them: install one "
        f"(Debian, RHEL: package skopeo), or put files of `docker save` below {place}: {', '.join(files)}"
    )


def _problems(settings: Sources) -> Iterator[str]:
    if settings.mirror is not None and not settings.mirror.startswith(("http://", "https://")):
        yield f"artifact_mirror {settings.mirror!r} is not a URL prefix: it must begin with https:// or http://"
    own = settings.artifacts_dir
    if own is not None and not os.access(own / ".", os.R_OK | os.X_OK):
        yield f"artifacts_dir {own} is not a directory that can be read: create it, or remove the setting"
    for path, digest in settings.own_builds.items():
        if not is_digest(digest):
            yield f"own_builds: {path} has {digest!r}, wanted sha256: and 64 hex digits (see sha256sum)"
