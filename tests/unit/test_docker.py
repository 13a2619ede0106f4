"""daemon.json: our keys as they must be, everybody else's as they were."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cluster_samples import cluster
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_machine import program, shell

from kubeinfra.components.flags import KUBELET_CLIENT_PEM
from kubeinfra.errors import KubeinfraError
from tasks import docker

OURS = {
    "exec-opts": ["native.cgroupdriver=systemd"],
    "log-driver": "json-file",
    "log-opts": {"max-file": "3", "max-size": "500m"},
}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The settings of the cluster, for a host n1; may be filled by the test."""
    values: dict[str, Any] = {}
    monkeypatch.setattr(docker, "cluster", lambda: cluster(**values))
    monkeypatch.setattr(docker, "host", SimpleNamespace(name="n1"))
    return values


def merged(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker.daemon_json(text))
    return found


@pytest.mark.parametrize("nothing", ["", "\n", "{}"])
def test_a_new_file_has_our_keys(said: dict[str, Any], nothing: str) -> None:
    assert merged(nothing) == OURS


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(sorted(OURS)), VALUES, max_size=4))
def test_keys_of_others_are_kept_and_ours_win(said: dict[str, Any], theirs: dict[str, Any]) -> None:
    once = docker.daemon_json(json.dumps(theirs))
    assert json.loads(once) == {**theirs, **OURS}
    assert docker.daemon_json(once) == once


def test_settings_are_followed_and_a_persons_own_keys_win(said: dict[str, Any]) -> None:
    said.update(
        registry_mirrors=["https://mine.example.com"],
        docker_log_max_size="10m",
        docker_extra_config={"log-driver": "journald", "data-root": "/data/docker"},
    )
    assert merged("{}") == {
        "exec-opts": ["native.cgroupdriver=systemd"],
        "log-driver": "journald",
        "log-opts": {"max-file": "3", "max-size": "10m"},
        "registry-mirrors": ["https://mine.example.com"],
        "data-root": "/data/docker",
    }


def test_a_mirror_that_somebody_wrote_is_kept_while_no_setting_says_others(said: dict[str, Any]) -> None:
    assert merged('{"registry-mirrors": ["https://theirs"]}')["registry-mirrors"] == ["https://theirs"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{", "is not JSON (Expecting"), ("[]", "is not a JSON object"), ("7", "is not a JSON object")],
)
def test_a_file_that_docker_could_not_read_either_is_told(said: dict[str, Any], text: str, problem: str) -> None:
    with pytest.raises(KubeinfraError) as error:
        docker.daemon_json(text)
    assert str(error.value).startswith(f"n1: /etc/docker/daemon.json {problem}")
    assert str(error.value).endswith("; mend it, or remove it")


NODES = '{"items": [{"status": {"conditions": [%s {"type": "Ready", "status": "%s"}]}}]}'
MEMORY = '{"type": "MemoryPressure", "status": "False"},'


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
def test_docker_restarts_where_the_others_are_ready_or_the_node_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str, others: str, may: bool
) -> None:
    machine = cluster().machine("n1")
    monkeypatch.setattr(docker, "this_machine", lambda: machine)

    def said(ready: str) -> str:
        return f"echo '{NODES % (MEMORY, ready)}'" if ready else "exit 22"

    program(tmp_path, "curl", f"case $* in *name!%3D*) {said(others)} ;; *) {said(here)} ;; esac")
    (tmp_path / "client.pem").write_text("it has a certificate")
    command = docker.others_ready().command.replace(KUBELET_CLIENT_PEM, str(tmp_path / "client.pem"))
    assert (shell(command, programs=tmp_path).returncode == 0) is may


def test_docker_restarts_where_there_is_no_cluster_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = cluster().machine("n1")
    monkeypatch.setattr(docker, "this_machine", lambda: machine)
    command = docker.others_ready().command.replace(KUBELET_CLIENT_PEM, str(tmp_path / "client.pem"))
    assert shell(command, programs=program(tmp_path, "curl", "exit 7")).returncode == 0


def test_a_diff_shows_our_keys_and_no_password_of_a_proxy(said: dict[str, Any]) -> None:
    said.update(docker_extra_config={"data-root": "/data/docker"})
    text = json.dumps({"log-driver": "none", "proxies": {"http-proxy": "http://u:secret@proxy"}, "theirs": 1})
    assert json.loads(docker.our_part(text)) == {"log-driver": "none"}
    assert "secret" in docker.daemon_json(text)
    assert "secret" not in docker.our_part(docker.daemon_json(text))
    assert json.loads(docker.our_part(docker.daemon_json(text))) == {**OURS, "data-root": "/data/docker"}
