"""Builds the components of a release, asks them for their flags, and lets them read those that the deploy gives."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.components import flags
from kubeinfra.errors import KubeinfraError
from lab.build import go, kubernetes, stack
from lab.build.workspace import Workspace

_HERE = Path(__file__).parent
_FURTHER = {"kubelet": "show_kubelet.go", "kube-proxy": "show_kube_proxy.go"}
# In each component's main.go, in all releases from 1.20 to 1.37.
_COMMAND = "\tcommand := "


def build(cluster: Cluster, work: Workspace) -> dict[str, Path]:
    """Component -> the program of the cluster's release."""
    sources = stack.sources(cluster.release.kubernetes)
    module = kubernetes.whole_module(sources, work)
    for program in kubernetes.PROGRAMS:
        _insert(module, program)
    packages = (f"./cmd/{program}" for program in kubernetes.PROGRAMS)
    binaries = module.build(*packages, ldflags=kubernetes.ldflags(sources))
    return {program: binaries / program for program in kubernetes.PROGRAMS}


def told(cluster: Cluster, programs: Mapping[str, Path], work: Workspace) -> dict[str, Any]:
    """What tests/data/flags/<minor>.json holds."""
    said = {name: json.loads(work.run(program, "--help")) for name, program in programs.items()}
    major, minor = cluster.release.minor
    return {
        "made_by": f"make flags MINOR={major}.{minor}",
        "version": f"v{cluster.release.kubernetes}",
        "flags": {name: one["flags"] for name, one in said.items()},
        "deprecated": {name: one["deprecated"] for name, one in said.items() if one["deprecated"]},
        "fields": {name: sorted(one["fields"]) for name, one in said.items() if "fields" in one},
    }


def refused(cluster: Cluster, programs: Mapping[str, Path]) -> Iterator[str]:
    """
    What a component refuses of the flags that the deploy gives it: those that it has not, and values of others.

    `--version` is obeyed after all flags were read, and before any is acted on.
    """
    version = cluster.release.kubernetes
    for name, flags_of_it in given(cluster):
        arguments = [f"--{flag}={value}" for flag, value in flags_of_it.items()]
        done = subprocess.run([programs[name], *arguments, "--version"], capture_output=True, text=True)
        if done.returncode or done.stdout.strip() != f"Kubernetes v{version}":
            yield f"{name} {version} refuses what kubeinfra/components/flags.py gives it: {_reason(done.stderr)}"


def given(cluster: Cluster) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Component -> the flags that the deploy gives it, on each machine that has it."""
    for master in cluster.masters:
        yield "kube-apiserver", flags.apiserver_flags(cluster, master)
    yield "kube-controller-manager", flags.controller_manager_flags(cluster)
    yield "kube-scheduler", flags.scheduler_flags(cluster)
    for node in cluster.nodes:
        yield "kubelet", flags.kubelet_flags(cluster, node)
    yield "kube-proxy", flags.kube_proxy_flags()


def _insert(module: go.Module, program: str) -> None:
    """Give the program's command the help of show.go."""
    directory = module.directory / "cmd" / program
    mains = [path for path in directory.glob("*.go") if _COMMAND in path.read_text()]
    if len(mains) != 1:
        raise KubeinfraError(f"{directory}: {len(mains)} files with {_COMMAND.strip()!r}, wanted 1")
    before, command, after = mains[0].read_text().partition(_COMMAND)
    made, end, rest = after.partition("\n")
    mains[0].write_text(f"{before}{command}{made}{end}\tcommand.SetHelpFunc(show){end}{rest}")
    for file in ("show.go", *filter(None, [_FURTHER.get(program)])):
        shutil.copy(_HERE / file, directory / file)


def _reason(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return next((line for line in lines if "unknown flag" in line or "invalid argument" in line), said[-300:])
