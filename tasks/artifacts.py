"""Binaries and images for all roles, fetched once and sent to all hosts in one step."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import deploy

from kubeinfra.components.artifacts_needed import COMPONENTS, needed, node_images
from kubeinfra.components.runtime import runtime
from kubeinfra.operations import binaries, images
from kubeinfra.operations.gates import barrier
from kubeinfra.operations.releases import fetch as fetch_releases
from kubeinfra.run.hosts import is_deploy_file, is_lead_host, this_machine
from kubeinfra.run.inventory import cluster
from kubeinfra.run.seen import here
from tasks.preflight import preflight

ALL = tuple(COMPONENTS)


@deploy("artifacts")
def fetch(components: Sequence[str] = ALL) -> None:
    """On the controller, before anything changes on a machine: what cannot be had ends the run here."""
    if is_lead_host():
        fetch_releases(name="releases at hand", components=components)


@deploy("artifacts")
def stage(components: Sequence[str] = ALL) -> None:
    """Nothing gets its final name here: that is for the tasks that own it."""
    arch = here().seen.arch
    if mine := needed(cluster(), this_machine(), arch, components):
        binaries.stage(name="binaries", needed=mine)
    if "node" in components and "node" in host.groups:
        images.stage(name="images", references=node_images(cluster()), arch=arch, runtime=runtime(cluster()))


def bring(components: Sequence[str] = ALL) -> None:
    """Both steps, for a component that runs alone."""
    fetch(components=components)
    barrier(name="releases are at hand")
    stage(components=components)
    barrier(name="binaries are on the machines")


if is_deploy_file(__file__):
    preflight()
    bring()
