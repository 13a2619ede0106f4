"""
Records of runs on the disk.

    .kubeinfra/<cluster>/runs/<time>.json    0600 in a directory of 0700; the newest KEPT of them

What cannot be read is never in anybody's way: it is passed over with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from kubeinfra.atomic import write_whole
from kubeinfra.controller import documents
from kubeinfra.controller.records import SCHEMA, RunRecord
from kubeinfra.errors import KubeinfraError, file_errors

KEPT = 50
DAMAGED = "is not a record of a run ({reason}); remove it"
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z")


class RunRecords:
    """
    The records of one cluster's runs.

    + cluster_directory: its `.kubeinfra/<cluster>`, which need not exist
    + warn: gets one sentence for each record that is passed over
    """

    def __init__(self, cluster_directory: Path, warn: Callable[[str], object]) -> None:
        self.directory = cluster_directory / "runs"
        self._warn = warn

    def write(self, record: RunRecord) -> Path:
        """Keep this one, in place of an earlier one of the same run; the oldest beyond KEPT go. Gives its file."""
        with file_errors(self.directory, "written"):
            for directory in (self.directory.parent.parent, self.directory.parent, self.directory):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._path(record.name)
            write_whole(path, record.text(), 0o600)
            for name in self.names()[KEPT:]:
                self._path(name).unlink(missing_ok=True)
        return path

    def names(self) -> list[str]:
        """Of all that are there, readable or not; the newest first."""
        with file_errors(self.directory, "read"):
            found = self.directory.glob("*.json")
            return sorted((path.stem for path in found if _NAME.fullmatch(path.stem)), reverse=True)

    def newest_first(self) -> Iterator[RunRecord]:
        """Those that can be read, each when it is asked for."""
        for name in self.names():
            try:
                yield self._read(name)
            except KubeinfraError as error:
                self._warn(f"{error}; it is passed over")

    def newest(self) -> RunRecord | None:
        return next(self.newest_first(), None)

    def named(self, name: str) -> RunRecord:
        """
        The one with this name, or the only one whose name begins so.

        KubeinfraError if there is none, or several, or if it cannot be read.
        """
        names = self.names()
        found = [one for one in names if one.startswith(name.removesuffix(".json"))]
        if len(found) != 1:
            what = f"{len(found)} records begin with" if found else "no record of a run is called"
            there = ", ".join((found or names)[:5]) or "none"
            raise KubeinfraError(f"{self.directory}: {what} {name!r}; the newest there: {there}")
        return self._read(found[0])

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def _read(self, name: str) -> RunRecord:
        path = self._path(name)
        with file_errors(path, "read"):
            text = path.read_bytes()
        return documents.parse(text, path, RunRecord, SCHEMA, DAMAGED)
