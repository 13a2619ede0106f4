"""The releases that can be deployed, what goes with each minor, and which of them were: one row a minor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from rich.markup import escape
from rich.table import Table

from kubeinfra.releases.catalogue import DEFAULT, NEWEST, PROOFS, Proof, Release, release
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
    def proofs(self) -> list[Proof]:
        """Those of the minor's releases, newest release first."""
        own = (one for one in PROOFS if minor_of(one.release) == self.minor)
        return sorted(own, key=lambda proof: numbers(proof.release), reverse=True)

    @property
    def proved(self) -> str:
        """The releases of the minor that were deployed for real."""
        return ", ".join(dict.fromkeys(one.release for one in self.proofs)) or NOT_PROVED


def told(proof: Proof) -> str:
    """One proof in a line, with its figures where they were recorded."""
    said = [f"{proof.release} on {proof.date}", proof.how]
    if proof.machines is not None:
        seconds = f"{proof.first_deploy} s, second run {proof.second_run} s"
        said.append(f"{proof.machines} machines in {seconds}")
    return ": ".join(said)


def rows() -> list[Row]:
    """One a minor, oldest first."""
    return [Row(release(newest)) for newest in NEWEST.values()]


def table(today: date) -> Table:
    """For a terminal; + today: minors that upstream supported until before it are dim"""
    found = Table(box=None, pad_edge=False)
    for title in ("minor", "newest", "supported until", "runtime", "etcd", "CoreDNS", "proved"):
        found.add_column(title, no_wrap=True)
    for row in rows():
        cells = (row.minor, row.release.newest, str(row.end_of_life), row.runtime, row.release.etcd, row.tag("coredns"))
        found.add_row(*map(escape, (*cells, row.proved)), style="dim" if today > row.end_of_life else "")
    return found


def summary() -> str:
    """What stands under the table: how each that is proved was, and what the rest of this means."""
    proofs = [f"proved: {told(proof)}" for row in rows() for proof in reversed(row.proofs)]
    return "\n".join(proofs) + (
        "\n"
        f"Any patch of these minors can be set as kubernetes_version; without that setting it is {DEFAULT}, the newest "
        "that is proved. What else goes with each: docs/releases.md"
    )
