"""Where an archive comes from, and what its digest must be: the places are tried one after another."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from kubeinfra.artifacts.answers import NO_FILE, is_page
from kubeinfra.artifacts.bundle_index import BundleIndex, bundle_in
from kubeinfra.artifacts.digests import Index, published_digest, stamp
from kubeinfra.artifacts.download import Progress, Unavailable, download, read_text
from kubeinfra.errors import KubeinfraError, file_errors
from kubeinfra.releases.catalogue import Artifact


class Pin(NamedTuple):
    """The digest that a file must have, and where that digest comes from."""

    digest: str
    origin: str


@dataclass(frozen=True)
class Sources:
    """The settings of a `Store`, as it documents them, and its index; the Store locks out other processes."""

    cache_dir: Path
    artifacts_dir: Path | None
    mirror: str | None
    own_builds: Mapping[str, str]
    progress: Progress
    index: Index

    def fetch(self, artifact: Artifact) -> tuple[Path, Pin]:
        """
        The archive, and the pin that it was checked against: from artifacts_dir, else the cache, else upstream.

        KubeinfraError if it is nowhere, or if the one in artifacts_dir has a wrong digest.
        """
        reasons = []
        for place in (self._from_artifacts_dir, self._from_cache, self._from_upstream):
            try:
                path, pin = place(artifact)
            except Unavailable as reason:
                reasons.append(str(reason))
            else:
                self._record(artifact, pin)
                return path, pin
        raise KubeinfraError(self._nowhere(artifact, reasons))

    def pin(self, artifact: Artifact) -> Pin | None:
        """
        The pin as far as it is known without network: from own_builds, else the release's, else the one that
        was recorded earlier, else from upstream's checksum file next to the archive in artifacts_dir.
        """
        if own := self.own_builds.get(artifact.path):
            return Pin(own, "own_builds")
        if artifact.digest:
            return Pin(artifact.digest, f"pins.toml, from {artifact.source}")
        if recorded := self.index.pins.get(artifact.path):
            return Pin(recorded, f"{self.index.path}, recorded when it was first fetched")
        return self._adjacent_pin(artifact)

    def check(self, path: Path, pin: Pin) -> None:
        """KubeinfraError if the file's digest is another one."""
        if (found := self._digest(path, pin)) != pin.digest:
            with file_errors(path, "read"), path.open("rb") as file:
                what = f" and is {NO_FILE}" if is_page(file.read(512)) else ""
            raise KubeinfraError(
                f"{path}: has {found}{what}, wanted {pin.digest} (says {pin.origin}); "
                "put the right file there, or remove it"
            )

    def in_artifacts_dir(self, artifact: Artifact) -> Path | None:
        """The file in artifacts_dir, not checked; None if there is none."""
        path = self.artifacts_dir and self.artifacts_dir / artifact.path
        return path if path and path.exists() else None

    def url(self, upstream: str) -> str:
        """The URL from which a file of upstream is downloaded: its own, or the mirror's."""
        if self.mirror is None:
            return upstream
        parts = urlsplit(upstream)
        return self.mirror.replace("{host}", parts.netloc).rstrip("/") + parts.path

    def _from_artifacts_dir(self, artifact: Artifact) -> tuple[Path, Pin]:
        if self.artifacts_dir is None:
            raise Unavailable("artifacts_dir is not set")
        path = self.in_artifacts_dir(artifact)
        if path is None:
            whose = f" (artifacts_dir is a bundle of {bundle})" if (bundle := self._bundle()) else ""
            raise Unavailable(f"{self.artifacts_dir / artifact.path} does not exist{whose}")
        try:
            pin = self.pin(artifact) or self._published_pin(artifact)
        except Unavailable as reason:
            raise KubeinfraError(
                f"{path}: cannot be checked, as no digest of {artifact.name} {artifact.version} is known and "
                f"{reason}; put upstream's {artifact.checksum_url} next to it"
            ) from reason
        self.check(path, pin)
        return path, pin

    def _from_cache(self, artifact: Artifact) -> tuple[Path, Pin]:
        path = self.cache_dir / artifact.path
        if not path.exists():
            raise Unavailable(f"{path} does not exist")
        pin = self.pin(artifact) or self._published_pin(artifact)
        # A wrong file in the cache is replaced; artifacts_dir belongs to the user, so a wrong file there is an error.
        if (found := self._digest(path, pin)) != pin.digest:
            raise Unavailable(f"{path} has {found}")
        return path, pin

    def _from_upstream(self, artifact: Artifact) -> tuple[Path, Pin]:
        if artifact.path in self.own_builds:
            raise Unavailable("upstream is not asked for what own_builds lists")
        pin = self.pin(artifact) or self._published_pin(artifact)
        path = self.cache_dir / artifact.path
        download(self.url(artifact.url), path, pin.digest, self.progress)
        self.index.remember(path, stamp(path), pin.digest)
        return path, pin

    def _digest(self, path: Path, pin: Pin) -> str:
        return self.index.digest(path, pin.digest.partition(":")[0])

    def _record(self, artifact: Artifact, pin: Pin) -> None:
        """So that a file without a pin in the release cannot change later."""
        if not artifact.digest and artifact.path not in self.own_builds:
            self.index.pins[artifact.path] = pin.digest

    def _adjacent_pin(self, artifact: Artifact) -> Pin | None:
        name = artifact.checksum_url.rpartition("/")[2]
        path = self.artifacts_dir and (self.artifacts_dir / artifact.path).with_name(name)
        if not path or not path.exists():
            return None
        with file_errors(path, "read"):
            digest = published_digest(path.read_text(encoding="utf-8", errors="replace"), artifact.file)
        return Pin(digest, str(path)) if digest else None

    def _published_pin(self, artifact: Artifact) -> Pin:
        url = self.url(artifact.checksum_url)
        digest = published_digest(read_text(url), artifact.file)
        if digest is None:
            raise Unavailable(f"{url} has no digest for {artifact.file}")
        return Pin(digest, url)

    def _bundle(self) -> BundleIndex | None:
        return bundle_in(self.artifacts_dir) if self.artifacts_dir else None

    def _nowhere(self, artifact: Artifact, reasons: list[str]) -> str:
        pin = self.pin(artifact)
        digest = pin.digest if pin else "digest not known"
        way = "unpack a bundle of it (`make bundle`, `make unbundle`), or " if self._bundle() else ""
        way += f"put the file at {self.artifacts_dir or '<artifacts_dir>'}/{artifact.path}"
        if not pin:
            way += f" and upstream's {artifact.checksum_url} next to it"
        if artifact.path not in self.own_builds:
            way += ", or set artifact_mirror to a URL prefix that serves it"
        return (
            f"{artifact.name} {artifact.version} ({artifact.arch}, {digest}) cannot be had: "
            f"{'; '.join(reasons)}. Next: {way}"
        )
