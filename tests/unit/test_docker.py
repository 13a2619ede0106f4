"""daemon.json: our keys are set, all other keys stay as they were."""

from __future__ import annotations

import json
import re
import subprocess
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cluster_samples import SEEN, cluster, here
from hypothesis import given
from hypothesis import strategies as st
from local_machine import answer, program, shell

from kubeinfra.cluster.settings import Settings
from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.components.node import other_nodes_ready
from kubeinfra.components.runtime.docker import VALID, Docker, daemon_json, our_part
from kubeinfra.errors import KubeinfraError
from kubeinfra.facts.machine import MachineFacts
from kubeinfra.machine.state import InstalledRuntime, PathState
from kubeinfra.machine.wanted import SCRIPT, Edit, compare, script_input
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
        "container_log_max_size": "10m",
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


@pytest.mark.parametrize("text", ["", "{}", '{"data-root": "/data/docker", "iptables": false}'])
def test_a_docker_without_containers_makes_no_bridge(text: str) -> None:
    once = daemon_json(text, Settings(), "n1", bridge=True)
    assert json.loads(once)["bridge"] == "none"
    assert daemon_json(once, Settings(), "n1", bridge=False) == once, "later it has pods, and the file stays"
    assert json.loads(our_part(once, Settings(), "n1"))["bridge"] == "none", "the plan shows it"


@pytest.mark.parametrize(
    ("text", "extra"),
    [
        ('{"bridge": "br0"}', {}),
        ('{"bip": "10.9.0.1/24"}', {}),  # Docker refuses to start with both
        ("{}", {"fixed-cidr": "10.9.0.0/25"}),
        ("{}", {"bip": "10.9.0.1/24"}),
    ],
)
def test_a_bridge_that_somebody_asked_for_stays(text: str, extra: dict[str, Any]) -> None:
    said = Settings(docker_extra_config=extra)
    assert daemon_json(text, said, "n1", bridge=True) == daemon_json(text, said, "n1", bridge=False)


USES = {
    "nothing": ("", "", False),
    "a container": ("abc123", "", True),
    "a network that somebody made": ("", "def456", True),
    "it does not run": (None, None, False),
}


@pytest.mark.parametrize("case", USES)
def test_a_docker_that_others_use_is_seen(case: str, tmp_path: Path) -> None:
    containers, networks, used = USES[case]
    programs = program(tmp_path, "docker", f"case $1 in ps) echo {containers} ;; network) echo {networks} ;; esac")
    program(tmp_path, "dockerd", "echo Docker version 20.10.24, build x")
    program(tmp_path, "systemctl", "exit 3" if containers is None else "exit 0")
    found = answer(MachineFacts(), programs=programs, instead={"/var/lib/docker/containers": "/nowhere"})
    docker = found.runtimes["docker"]
    assert (docker.version, docker.used) == ((20, 10, 24), used)


def test_one_that_runs_pods_or_did_is_in_use_even_if_it_is_down(tmp_path: Path) -> None:
    (tmp_path / "containers" / "abc").mkdir(parents=True)
    program(tmp_path / "programs", "dockerd", "echo Docker version 20.10.24, build x")
    instead = {"/var/lib/docker/containers": f"{tmp_path}/containers"}
    assert answer(MachineFacts(), programs=tmp_path / "programs", instead=instead).runtimes["docker"].used


DEFAULT = "ExecStart={ path=/usr/bin/dockerd ; argv[]=/usr/bin/dockerd -H fd:// --containerd=/run/c.sock ; pid=1 }\n"
OPTIONS = DEFAULT.replace(" ; pid", " $OPTIONS ; pid") + "EnvironmentFiles={} (ignore_errors=yes)\n"


@pytest.mark.parametrize(
    ("unit", "file", "flags"),
    [
        (DEFAULT, "", ["containerd", "hosts"]),
        # A drop-in.
        (DEFAULT.replace("-H fd://", "--log-driver=journald"), "", ["containerd", "log-driver"]),
        # CentOS' /etc/sysconfig/docker.
        (OPTIONS, "OPTIONS='--selinux-enabled --log-driver=journald --signature-verification=false'\n", ["log-driver"]),
        # Debian's /etc/default/docker, with short flags and lists.
        (OPTIONS, 'OPTIONS="-b br0 --registry-mirror https://a.b -s overlay2"\n', ["bridge", "registry-mirrors"]),
        (OPTIONS, "# OPTIONS=--log-driver=journald\n", []),
        # A file that the command line does not use.
        (OPTIONS.replace(" $OPTIONS", ""), "OPTIONS=--log-driver=journald\n", []),
        (DEFAULT + 'Environment="X=--exec-opt native.cgroupdriver=systemd"\n', "", ["exec-opts"]),
    ],
)
def test_what_docker_was_started_with_is_seen(unit: str, file: str, flags: list[str], tmp_path: Path) -> None:
    (tmp_path / "options").write_text(file)
    (tmp_path / "unit").write_text(unit.replace("{}", str(tmp_path / "options")))
    program(tmp_path / "programs", "systemctl", f"case $1 in show) cat {tmp_path}/unit ;; *) exit 3 ;; esac")
    program(tmp_path / "programs", "dockerd", "echo Docker version 20.10.24, build x")
    found = answer(MachineFacts(), programs=tmp_path / "programs").runtimes["docker"].flags
    interesting = {"log-driver", "bridge", "registry-mirrors", "exec-opts", *flags}
    assert [flag for flag in found if flag in interesting] == flags


def test_a_password_in_its_environment_is_no_part_of_the_answer(tmp_path: Path) -> None:
    unit = DEFAULT + 'Environment="HTTPS_PROXY=http://me:pass -word --x=y@proxy" "X=--log-driver=journald"\n'
    (tmp_path / "unit").write_text(unit)
    program(tmp_path / "programs", "systemctl", f"case $1 in show) cat {tmp_path}/unit ;; *) exit 3 ;; esac")
    program(tmp_path / "programs", "dockerd", "echo Docker version 20.10.24, build x")
    said = shell(Docker().version, programs=tmp_path / "programs").stdout
    encoded = re.findall(r"^docker-unit=(.*)$", said, re.MULTILINE)
    (seen,) = (b64decode(text).decode() for text in encoded)
    assert "--log-driver" in seen
    assert not re.search("me:|pass|proxy|journald", seen)


@pytest.mark.parametrize(
    ("flags", "settings", "refused"),
    [
        (("containerd", "hosts"), {}, ""),
        (("hosts", "log-driver"), {}, "log-driver"),
        (("exec-opts", "log-opts"), {}, "exec-opts, log-opts"),
        (("registry-mirrors",), {}, ""),
        (("registry-mirrors",), {"registry_mirrors": ["https://a.b"]}, "registry-mirrors"),
        (("data-root",), {"docker_extra_config": {"data-root": "/data"}}, "data-root"),
    ],
)
def test_a_key_that_is_on_the_command_line_is_refused(
    flags: tuple[str, ...], settings: dict[str, Any], refused: str
) -> None:
    found = cluster(**settings)
    seen = replace(SEEN, runtimes={"docker": InstalledRuntime((20,), flags=flags)})
    every = list(Docker().findings(found, found.machine("n1"), seen))
    assert [one.found for one in every] == ([f"Docker's command line has {refused}"] if refused else [])
    assert all("`systemctl cat docker`" in one.remedy for one in every)


@pytest.mark.parametrize(
    ("flags", "bridge"), [((), "none"), (("hosts",), "none"), (("bip",), None), (("bridge", "hosts"), None)]
)
def test_a_bridge_that_the_command_line_has_stays(flags: tuple[str, ...], bridge: str | None) -> None:
    """With both Docker would not start."""
    seen = replace(SEEN, runtimes={"docker": InstalledRuntime((20,), flags=flags)})
    (edit,) = (one for one in Docker().describe(here(cluster(), "n1", seen)).files if isinstance(one, Edit))
    assert json.loads(edit.edit("")).get("bridge") == bridge


VALIDATES = """case $* in
--help) {} ;;
"--validate --config-file "*) grep -q https "$3" || {{ echo "invalid mirror"; exit 1; }} ;;
*) exit 9 ;; esac"""
HELP = "echo '      --validate     Validate daemon configuration and exit'"


@pytest.mark.parametrize(
    ("mirror", "help_text", "accepted"),
    [("https://a.b", HELP, True), ("a.b", HELP, False), ("a.b", "echo --version", True)],
    ids=["valid", "refused by the daemon", "a daemon before 23.0, which cannot say"],
)
def test_the_daemon_validates_a_file_before_it_takes_the_old_ones_place(
    mirror: str, help_text: str, accepted: bool, tmp_path: Path
) -> None:
    programs = program(tmp_path / "programs", "dockerd", VALIDATES.format(help_text))
    program(programs, "chown", "exit 0")
    path = tmp_path / "daemon.json"
    path.write_text("{}")
    edit = Edit(str(path), lambda _: json.dumps({"registry-mirrors": [mirror]}), check=VALID)
    changes = compare([edit], {str(path): PathState("file", "644", "root:root", "", "", "{}")})
    ran = shell(SCRIPT, stdin=script_input(changes), programs=programs)
    assert (ran.returncode == 0) is accepted, ran.stderr
    assert (mirror in path.read_text()) is accepted
    assert accepted or "invalid mirror" in ran.stderr
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["daemon.json"]


def test_without_docker_nobody_can_ask_it(tmp_path: Path) -> None:
    assert shell(VALID.replace("dockerd", "no-dockerd")).returncode == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{", "is not JSON (Expecting"), ("[]", "is not a JSON object"), ("7", "is not a JSON object")],
)
def test_a_file_that_docker_could_not_read_either_is_an_error(text: str, problem: str) -> None:
    with pytest.raises(KubeinfraError) as error:
        daemon_json(text, Settings(), "n1")
    assert str(error.value).startswith(f"n1: /etc/docker/daemon.json {problem}")
    assert str(error.value).endswith("; correct it, or remove it")


SHOWN = {"True": "Ready", "Cordoned": "Ready,SchedulingDisabled", "False": "NotReady", "Unknown": "Unknown"}


def nodes(directory: Path, *ready: str, code: int = 0) -> Path:
    """A kubectl that shows these nodes, the first of them the one that wants to restart."""
    rows = "".join(
        f"192.168.80.{11 + number}   {SHOWN[one]}   <none>   3d   v1.20.15\\n" for number, one in enumerate(ready)
    )
    return program(directory, "kubectl", f"printf '{rows}'; exit {code}")


def may_restart(directory: Path, but: int = 0) -> subprocess.CompletedProcess[str]:
    """What a master says when node n1 wants to restart its runtime."""
    command = other_nodes_ready(cluster().machine("n1"), but).command.replace(KUBECTL, "kubectl")
    return shell(command, programs=directory)


@pytest.mark.parametrize(
    ("here", "other", "may"),
    [
        ("True", "True", True),
        ("True", "Cordoned", True),
        ("True", "False", False),
        ("True", "Unknown", False),
        ("False", "Unknown", True),  # it serves nobody: a restart can only mend it
        ("Unknown", "False", True),
    ],
)
def test_docker_restarts_if_the_others_are_ready_or_the_node_is_not(
    tmp_path: Path, here: str, other: str, may: bool
) -> None:
    said = may_restart(nodes(tmp_path, here, other))
    assert (said.returncode == 0) is may, said.stderr
    assert said.stdout.strip() == ("" if may else "not Ready: 192.168.80.12")


def test_docker_does_not_restart_if_the_api_does_not_answer(tmp_path: Path) -> None:
    assert may_restart(nodes(tmp_path, code=1)).returncode != 0


@pytest.mark.parametrize(("away", "may"), [(0, True), (2, True), (3, False)])
def test_as_many_others_may_be_away_as_are_said(tmp_path: Path, away: int, may: bool) -> None:
    others = ["Unknown", "False", "Unknown"][:away]
    assert (may_restart(nodes(tmp_path, "True", *others, "True", "True"), but=2).returncode == 0) is may


@pytest.mark.parametrize("has_joined", [True, False])
def test_docker_restarts_if_there_is_no_cluster_yet(tmp_path: Path, has_joined: bool) -> None:
    """Nobody is asked then: there may be no master."""
    certificate = tmp_path / "client.pem"
    if has_joined:
        certificate.write_text("it has a certificate")
    probe = other_nodes_ready(cluster().machine("n1"))
    exempt = shell(probe.unless.replace(KUBELET_CLIENT_PEM, str(certificate))).returncode == 0
    assert (probe.on_master, exempt) == (True, not has_joined)


def test_a_diff_shows_our_keys_and_no_password_of_a_proxy() -> None:
    said = Settings(docker_extra_config={"data-root": "/data/docker"})
    text = json.dumps({"log-driver": "none", "proxies": {"http-proxy": "http://u:secret@proxy"}, "theirs": 1})
    assert json.loads(our_part(text, said, "n1")) == {"log-driver": "none"}
    merged_text = daemon_json(text, said, "n1")
    assert "secret" in merged_text
    assert "secret" not in our_part(merged_text, said, "n1")
    assert json.loads(our_part(merged_text, said, "n1")) == {**OURS, "data-root": "/data/docker"}
