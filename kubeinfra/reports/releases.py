"""The releases that can be deployed, what goes with each minor, and which of them were: one row a minor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from rich.markup import escape
from rich.table import Table

from kubeinfra.releases.catalogue import DEFAULT, NEWEST, PROVED, Release, release
from kubeinfra.releases.versions import minor_of, numbers, written

NOT_PROVED = "not proved"


@dataclass(frozen=True)
class Row:
    """One minor, in words; versions that are defaults, and ranges of those that may be set."""

    release: Release

    @property
    def minor(self) -> str:
        return written(self.release.minor)

    @property
    def end_of_life(self) -> date:
        return self.release.end_of_life

    @property
    def runtime(self) -> str:
        """The default runtime, with its version, or the versions that go with the release."""
        one = self.release
        docker = f"Docker below {one.docker_below}"
        return docker if one.container_runtime == "docker" else f"containerd {one.containerd}"

    @property
    def containerd(self) -> str:
        one = self.release
        return f"{one.containerd} ({written(one.containerd_from)} to below {written(one.containerd_below)})"

    @property
    def etcd(self) -> str:
        one = self.release
        return f"{one.etcd} ({written(one.etcd_from)} to below {written(one.etcd_below)})"

    def tag(self, image: str) -> str:
        """Of an image: "coredns" -> "1.2.3"."""
        return str(getattr(self.release, f"{image}_image")).rpartition(":")[2].removeprefix("v")

    @property
    def proved(self) -> str:
        """Each release of the minor that was deployed for real, newest first: when, and how."""
        own = sorted((one for one in PROVED if minor_of(one) == self.minor), key=numbers, reverse=True)
        return "; ".join(f"{one} on {PROVED[one].date}: {PROVED[one].how}" for one in own) or NOT_PROVED


def rows() -> list[Row]:
    """One a minor, oldest first."""
    return [Row(release(newest)) for newest in NEWEST.values()]


def table(today: date) -> Table:
    """For a terminal; + today: minors that upstream supported until before it are dim"""
    found = Table(box=None, pad_edge=False)
    for title in ("minor", "newest", "supported until", "runtime", "etcd", "CoreDNS"):
        found.add_column(title, no_wrap=True)
    found.add_column("proved", overflow="fold")
    for row in rows():
        cells = (row.minor, row.release.newest, str(row.end_of_life), row.runtime, row.release.etcd, row.tag("coredns"))
        found.add_row(*map(escape, (*cells, row.proved)), style="dim" if today > row.end_of_life else "")
    return found


def summary() -> str:
    """The line under the table."""
    return (
        f"Any patch of these minors can be set as kubernetes_version; without that setting it is {DEFAULT}, the newest "
        "that is proved. What else goes with each: docs/releases.md"
    )
