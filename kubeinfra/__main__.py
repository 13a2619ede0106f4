"""
python -m kubeinfra: what needs no machine.

    check INVENTORY      read inventory and settings, report every error; connects nowhere
    artifacts INVENTORY  fetch all that the cluster needs ahead of time
    bundle INVENTORY     pack all that a controller without a network needs into one file
    report [INVENTORY]   one HTML page of the newest run, or of a named one
    releases             the Kubernetes releases that can be deployed
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.markup import escape

from kubeinfra.atomic import write_whole
from kubeinfra.cluster.cluster import Cluster
from kubeinfra.errors import KubeinfraError

_NO_RECORDS = "has no record of a run; each run that may change machines leaves one"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m kubeinfra", description="what needs no machine")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("check", "read inventory and settings, report every error; connects nowhere"),
        ("artifacts", "fetch all that the cluster needs ahead of time"),
    ):
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("inventory", type=Path)
        command.add_argument("--group-data", type=Path, action="append", default=[], metavar="DIRECTORY")
        if name == "artifacts":
            command.add_argument("--arch", default="amd64", help="amd64 (default) or arm64")
    _add_bundle(commands)
    _add_report(commands)
    what = "the Kubernetes releases that can be deployed, what goes with each, and which were"
    commands.add_parser("releases", help=what, description=what)
    options = parser.parse_args(arguments)
    try:
        return {"bundle": _bundle, "report": _report, "releases": _releases}.get(options.command, _run)(options)
    except KubeinfraError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 1


def _add_bundle(commands: Any) -> None:
    what = "pack all that a controller without a network needs into one file; `make unbundle` unpacks it"
    command = commands.add_parser("bundle", help=what, description=what)
    command.add_argument("inventory", type=Path)
    command.add_argument("--group-data", type=Path, action="append", default=[], metavar="DIRECTORY")
    command.add_argument("--arch", action="append", metavar="ARCH", help="amd64 (default) or arm64; may be repeated")
    command.add_argument("--no-images", action="store_true", help="nodes pull them from a registry")
    command.add_argument("--no-wheels", action="store_true", help="the controller has its Python packages")
    command.add_argument("-o", "--output", type=Path, metavar="FILE", help="by default kubeinfra-<release>-<arch>.tar")


def _add_report(commands: Any) -> None:
    what = "one HTML page of the newest run, or of a named one; connects nowhere"
    command = commands.add_parser("report", help=what, description=what)
    command.add_argument("inventory", type=Path, nargs="?", help="needed if this checkout has several clusters")
    command.add_argument("--group-data", type=Path, action="append", default=[], metavar="DIRECTORY")
    command.add_argument("--run", metavar="NAME", help="such as 2026-11-25T12-00, or as much of it as is unique")
    command.add_argument("--output", type=Path, metavar="FILE", help="by default .kubeinfra/<cluster>/report.html")


def _loaded(options: argparse.Namespace) -> Cluster:
    from kubeinfra.run.inventory import load

    cluster, warnings = load(options.inventory, options.group_data)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return cluster


def _run(options: argparse.Namespace) -> int:
    cluster = _loaded(options)
    if options.command == "artifacts":
        _fetch(cluster, options.arch)
    else:
        print(_summary(cluster))
    return 0


def _summary(cluster: Cluster) -> str:
    lines = [f"{cluster.settings.cluster_name}: Kubernetes {cluster.release.kubernetes}, etcd {cluster.etcd_version}"]
    for machine in cluster.machines:
        lines.append(f"  {machine.name:12} {machine.address!s:15} {' '.join(sorted(machine.groups))}")
    return "\n".join([*lines, f"  clients reach the API servers at {cluster.endpoint}"])


def _fetch(cluster: Cluster, arch: str) -> None:
    from kubeinfra.artifacts.download import progress_line
    from kubeinfra.components.artifacts_needed import all_needed, node_images
    from kubeinfra.run.controller import store

    console = Console()
    with console.status("looking at what is there") as status:
        place = store(cluster.settings, lambda *step: status.update(escape(progress_line(*step))))
        fetched = place.fetch_all(all_needed(cluster, (arch,)))
    for artifact, binaries in fetched.items():
        megabytes = sum(binary.size for binary in binaries) / 1e6
        console.print(f"{artifact.name} {place.version_label(artifact)}: {len(binaries)} binaries, {megabytes:.0f} MB")
    for reference in node_images(cluster):
        image = place.image(reference, arch)
        console.print(f"{image.label}: tar file" if image else f"{reference}: no tar file, nodes pull it")


def _bundle(options: argparse.Namespace) -> int:
    from kubeinfra.artifacts import bundle, wheels
    from kubeinfra.artifacts.bundle_index import WHEELS, this_libc, this_python
    from kubeinfra.artifacts.download import progress_line
    from kubeinfra.components.artifacts_needed import all_needed, node_images
    from kubeinfra.run.controller import ROOT, store

    cluster = _loaded(options)
    release, arches = cluster.release.kubernetes, tuple(sorted(set(options.arch or ["amd64"])))
    images = [] if options.no_images else [(image, arch) for arch in arches for image in node_images(cluster)]
    output = options.output or Path(f"kubeinfra-{release}-{'-'.join(arches)}.tar")
    with Console().status("looking at what is there") as status, TemporaryDirectory() as packages:

        def progress(what: str, done: int, total: int | None) -> None:
            status.update(escape(progress_line(what, done, total)))

        files = bundle.gather(store(cluster.settings, progress), all_needed(cluster, arches), images)
        if not options.no_wheels:
            progress("downloading Python packages", 0, None)
            files |= {f"{WHEELS}/{path.name}": path for path in wheels.collect(ROOT, Path(packages))}
        python, libc = (None, None) if options.no_wheels else (this_python(), this_libc())
        index = bundle.pack(output, files, release, arches, python, libc, datetime.now(UTC), progress)
    print(f"{output}: {index}, {len(index.files)} files, {output.stat().st_size / 1e6:.0f} MB")
    print(f"There, in this checkout:  make unbundle BUNDLE={output.name}")
    return 0


def _releases(options: argparse.Namespace) -> int:
    from kubeinfra.reports.releases import summary, table

    console = Console()
    console.print(table(datetime.now(UTC).date()))
    console.print(summary(), highlight=False)
    return 0


def _report(options: argparse.Namespace) -> int:
    from kubeinfra.controller.run_records import RunRecords
    from kubeinfra.reports.page import page

    directory = _cluster_directory(options.inventory, options.group_data)
    records = RunRecords(directory, lambda sentence: print(f"warning: {sentence}", file=sys.stderr))
    record = records.named(options.run) if options.run else records.newest()
    if record is None:
        raise KubeinfraError(f"{records.directory}: {_NO_RECORDS}")
    output = options.output or directory / "report.html"
    write_whole(output, page(record, datetime.now(UTC)), 0o600)
    print(f"{output}: run {record.name}, {record.result}")
    return 0


def _cluster_directory(inventory: Path | None, group_data: list[Path]) -> Path:
    """Of the inventory's cluster; without an inventory, of the only cluster that this checkout has runs of."""
    from kubeinfra.run.controller import ROOT
    from kubeinfra.run.inventory import load

    every = ROOT / ".kubeinfra"
    if inventory:
        return every / load(inventory, group_data)[0].settings.cluster_name
    found = sorted(path.parent for path in every.glob("*/runs"))
    if not found:
        raise KubeinfraError(f"{every}: {_NO_RECORDS}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise KubeinfraError(f"{every}: has runs of {len(found)} clusters ({names}); name the inventory of one")
    return found[0]


if __name__ == "__main__":
    sys.exit(main())
