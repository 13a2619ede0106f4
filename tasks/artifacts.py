"""Binaries and images for all roles, fetched once and sent to all hosts in one step."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.artifacts.needs import Needed, needed, node_images
from kubeinfra.operations import artifacts
from kubeinfra.operations.gates import barrier
from kubeinfra.releases.catalogue import Artifact
from kubeinfra.run.hosts import is_deploy_file, is_lead_host, this_machine
from kubeinfra.run.inventory import cluster
from tasks.preflight import arch_of, machine_state, preflight

ALL = ("etcd", "control plane", "node")


def needed_here(*components: str) -> list[Needed]:
    """What this host needs for these components."""
    return needed(cluster(), this_machine(), machine_state().arch, components)


@deploy("artifacts")
def fetch(components: Sequence[str] = ALL) -> None:
    """On the controller, before anything changes on a machine: what cannot be had ends the run here."""
    if is_lead_host():
        artifacts.fetch(lambda: releases(components), lambda: images(components), name="releases at hand")


def releases(components: Sequence[str]) -> list[Artifact]:
    """What the machines need: for certain once preflight has seen all of them, so a run asks when it begins."""
    found = {
        need.artifact
        for machine in cluster().machines
        for need in needed(cluster(), machine, arch_of(machine), components)
    }
    return sorted(found, key=lambda one: one.path)


def images(components: Sequence[str]) -> list[tuple[str, str]]:
    """Images that their nodes should have, and each for which architecture."""
    arches = {arch_of(node) for node in cluster().nodes}
    return [(image, arch) for arch in sorted(arches) for image in node_images(cluster()) if "node" in components]


@deploy("artifacts")
def stage(components: Sequence[str] = ALL) -> None:
    """Nothing gets its final name here: that is for the tasks that own it."""
    if here := needed_here(*components):
        artifacts.stage(here, name="binaries")
    if "node" in components and "node" in host.groups:
        artifacts.stage_images(node_images(cluster()), machine_state().arch, name="images")


def bring(components: Sequence[str] = ALL) -> None:
    """Both steps, for a component that runs alone."""
    fetch(components)
    barrier(name="releases are at hand")
    stage(components)
    barrier(name="binaries are on the machines")


if is_deploy_file(__file__):
    preflight()
    bring()
