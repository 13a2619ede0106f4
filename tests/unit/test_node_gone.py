"""Whether a node's Node is gone: only what the API itself says counts, not that it does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster_samples import cluster
from local_machine import program, shell

from kubeinfra.components import node
from kubeinfra.components.base import Probe
from kubeinfra.paths import KUBELET_CLIENT_PEM

NODE = cluster().machine("n1")


def succeeds(directory: Path, probe: Probe, curl: str, certificate: str = "is there") -> bool:
    """
    What a probe says on a node.

    + curl: a script in its place, which prints the number of the API's answer
    """
    own = directory / "kubelet-client-current.pem"
    own.write_text(certificate)
    programs = program(directory / "programs", "curl", curl)
    return shell(probe.command.replace(KUBELET_CLIENT_PEM, str(own)), programs=programs).returncode == 0


@pytest.mark.parametrize(
    ("curl", "gone", "told"),
    [
        ("echo 200", False, True),
        ("echo 404", True, True),
        ("echo 401", False, False),
        ("echo 503", False, False),
        ("echo 000; exit 7", False, False),
        ("exit 127", False, False),
    ],
)
def test_an_api_that_does_not_answer_has_not_said_that_it_is_gone(
    tmp_path: Path, curl: str, gone: bool, told: bool
) -> None:
    assert succeeds(tmp_path, node.is_gone(NODE), curl) is gone
    assert succeeds(tmp_path, node.is_told(NODE), curl) is told


def test_the_node_of_a_machine_that_has_yet_to_join_is_not_gone(tmp_path: Path) -> None:
    assert not succeeds(tmp_path, node.is_gone(NODE), "echo 404", certificate="")
