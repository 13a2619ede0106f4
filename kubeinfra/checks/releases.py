"""Whether the release may take the place of the one that runs, and whether upstream still supports it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from kubeinfra.checks.base import Seen
from kubeinfra.cluster.cluster import Cluster, Machine
from kubeinfra.findings import EXPLAINED, Finding
from kubeinfra.machine.state import MachineState
from kubeinfra.releases.catalogue import reason_against
from kubeinfra.releases.versions import minor_of, numbers, written

_GROUPS = {"kube-apiserver": "master", "kubelet": "node"}


def running_release(cluster: Cluster, machine: Machine, found: MachineState) -> Iterator[Finding]:
    """
    An error for another minor than the one that runs; a note for an older patch of it.

    Releases store objects in forms that older ones do not read, and API server, controllers and kubelets may differ by
    a few minors only: https://kubernetes.io/releases/version-skew-policy/
    """
    wanted = cluster.release
    for program, runs in found.survey.releases.items():
        if _GROUPS.get(program) not in machine.groups or runs == wanted.kubernetes:
            continue
        finding = partial(Finding, "running release", machine.name, found=f"{program} {runs} runs on it")
        if numbers(runs)[:2] != wanted.minor:
            yield finding(
                level="error",
                wanted=f"and kubernetes_version is {wanted.kubernetes}, of another minor",
                remedy=f"{_stay(runs)}: an upgrade goes one minor at a time, and deploy.py makes none",
            )
        elif numbers(runs) > numbers(wanted.kubernetes):
            yield finding(
                level="note",
                wanted=f"and goes back to {wanted.kubernetes}, an older patch",
                remedy=f'set kubernetes_version = "{runs}" if that is not meant',
            )


def _stay(runs: str) -> str:
    if reason_against(runs):
        return "use a checkout of kubeinfra that knows the release that runs"
    return f'set kubernetes_version = "{runs}", or another release of {minor_of(runs)}'


def end_of_life(seen: Seen) -> Iterator[Finding]:
    """One note for the cluster, if the controller's date is after the last day of upstream's support."""
    release = seen.cluster.release
    if seen.today and seen.today > release.end_of_life:
        yield Finding(
            check="end of life",
            machine="",
            level="note",
            found=f"upstream's support of Kubernetes {written(release.minor)} ended on {release.end_of_life}",
            wanted="what is found since then, also of security, is not mended",
            remedy="docs/releases.md has the minors and until when they are supported",
            joints=EXPLAINED,
        )
