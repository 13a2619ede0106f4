"""daemon.json: our keys are set, all other keys stay as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cluster_samples import cluster
from hypothesis import given
from hypothesis import strategies as st
from local_machine import program, shell

from kubeinfra.cluster.settings import Settings
from kubeinfra.components.node import other_nodes_ready
from kubeinfra.components.runtime.docker import daemon_json, our_part
from kubeinfra.errors import KubeinfraError
from kubeinfra.paths import KUBELET_CLIENT_PEM

OURS = {
    "exec-opts": ["native.cgroupdriver=systemd"],
    "log-driver": "json-file",
    "log-opts": {"max-file": "3", "max-size": "500m"},
}


def merged(text: str, **said: Any) -> dict[str, Any]:
    """The new text of daemon.json on machine n1, with these settings."""
    found: dict[str, Any] = json.loads(daemon_json(text, Settings(**said), "n1"))
    return found


@pytest.mark.parametrize("nothing", ["", "\n", "{}"])
def test_a_new_file_has_our_keys(nothing: str) -> None:
    assert merged(nothing) == OURS


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(sorted(OURS)), VALUES, max_size=4))
def test_keys_of_others_are_kept_and_ours_win(theirs: dict[str, Any]) -> None:
    once = daemon_json(json.dumps(theirs), Settings(), "n1")
    assert json.loads(once) == {**theirs, **OURS}
    assert daemon_json(once, Settings(), "n1") == once


def test_settings_are_followed_and_the_users_own_keys_win() -> None:
    said: dict[str, Any] = {
        "registry_mirrors": ["https://mine.example.com"],
        "docker_log_max_size": "10m",
        "docker_extra_config": {"log-driver": "journald", "data-root": "/data/docker"},
    }
    assert merged("{}", **said) == {
        "exec-opts": ["native.cgroupdriver=systemd"],
        "log-driver": "journald",
        "log-opts": {"max-file": "3", "max-size": "10m"},
        "registry-mirrors": ["https://mine.example.com"],
        "data-root": "/data/docker",
    }


def test_a_mirror_that_was_set_by_hand_stays_without_the_setting() -> None:
    assert merged('{"registry-mirrors": ["https://theirs"]}')["registry-mirrors"] == ["https://theirs"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{", "is not JSON (Expecting"), ("[]", "is not a JSON object"), ("7", "is not a JSON object")],
)
def test_a_file_that_docker_could_not_read_either_is_an_error(text: str, problem: str) -> None:
    with pytest.raises(KubeinfraError) as error:
        daemon_json(text, Settings(), "n1")
    assert str(error.value).startswith(f"n1: /etc/docker/daemon.json {problem}")
    assert str(error.value).endswith("; correct it, or remove it")


NODES = '{"items": [{"status": {"conditions": [%s {"type": "Ready", "status": "%s"}]}}]}'
MEMORY = '{"type": "MemoryPressure", "status": "False"},'
SHOWN = {"True": "Ready", "False": "NotReady", "Unknown": "NotReady,SchedulingDisabled"}


def table(*ready: str) -> str:
    """What kube-apiserver 1.20 answers to curl for `as=Table`: a row a node."""
    rows = ",".join(
        f'''
    {{
      "cells": [
        "192.168.80.{number}",
        "{SHOWN[one]}",
        "\\\\u003cnone\\\\u003e",
        "18s",
        "v1.20.15"
      ],
      "object": null
    }}'''
        for number, one in enumerate(ready)
    )
    return f'{{"kind": "Table", "columnDefinitions": [{{"description": "Ready, or NotReady"}}], "rows": [{rows}]}}'


@pytest.mark.parametrize(
    ("here", "others", "may"),
    [
        ("True", "True", True),
        ("True", "False", False),
        ("True", "Unknown", False),
        ("False", "Unknown", True),  # it serves nobody: a restart can only mend it
        ("True", "", False),  # the API does not answer
        ("", "True", True),
        ("", "", False),
    ],
)
def test_docker_restarts_if_the_others_are_ready_or_the_node_is_not(
    tmp_path: Path, here: str, others: str, may: bool
) -> None:
    said_here = f"echo '{NODES % (MEMORY, here)}'" if here else "exit 22"
    said_others = f"echo '{table(others)}'" if others else "exit 22"
    program(tmp_path, "curl", f"case $* in *name!%3D*) {said_others} ;; *) {said_here} ;; esac")
    (tmp_path / "client.pem").write_text("it has a certificate")
    command = other_nodes_ready(cluster().machine("n1")).command.replace(
        KUBELET_CLIENT_PEM, str(tmp_path / "client.pem")
    )
    assert (shell(command, programs=tmp_path).returncode == 0) is may


@pytest.mark.parametrize(("away", "may"), [(0, True), (2, True), (3, False)])
def test_as_many_others_may_be_away_as_are_said(tmp_path: Path, away: int, may: bool) -> None:
    others = table(*["Unknown", "False", "Unknown"][:away], "True", "True")
    here = NODES % (MEMORY, "True")
    program(tmp_path, "curl", f"case $* in *name!%3D*) echo '{others}' ;; *) echo '{here}' ;; esac")
    (tmp_path / "client.pem").write_text("it has a certificate")
    probe = other_nodes_ready(cluster().machine("n1"), but=2)
    command = probe.command.replace(KUBELET_CLIENT_PEM, str(tmp_path / "client.pem"))
    assert (shell(command, programs=tmp_path).returncode == 0) is may


def test_docker_restarts_if_there_is_no_cluster_yet(tmp_path: Path) -> None:
    command = other_nodes_ready(cluster().machine("n1")).command.replace(
        KUBELET_CLIENT_PEM, str(tmp_path / "client.pem")
    )
    assert shell(command, programs=program(tmp_path, "curl", "exit 7")).returncode == 0


def test_a_diff_shows_our_keys_and_no_password_of_a_proxy() -> None:
    said = Settings(docker_extra_config={"data-root": "/data/docker"})
    text = json.dumps({"log-driver": "none", "proxies": {"http-proxy": "http://u:secret@proxy"}, "theirs": 1})
    assert json.loads(our_part(text, said, "n1")) == {"log-driver": "none"}
    merged_text = daemon_json(text, said, "n1")
    assert "secret" in merged_text
    assert "secret" not in our_part(merged_text, said, "n1")
    assert json.loads(our_part(merged_text, said, "n1")) == {**OURS, "data-root": "/data/docker"}
