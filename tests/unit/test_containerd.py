"""containerd: its configuration by release, mirrors, a proxy, what the kubelet is told, settings that go together."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cluster_samples import SEEN, cluster, here, problems
from local_machine import answer, program, shell

from kubeinfra.components.flags import kubelet_configuration, kubelet_flags
from kubeinfra.components.runtime import runtime
from kubeinfra.components.runtime.containerd import CRICTL_YAML, PROGRAM, service_lines
from kubeinfra.components.runtime.containerd_config import CONFIG, config_toml, shown
from kubeinfra.facts.machine import MachineFacts
from kubeinfra.machine.state import InstalledRuntime, MachineState, PathState
from kubeinfra.machine.wanted import SCRIPT, Edit, File, Link, NoFile, compare, script_input

ALL = "group_data/all.py"
NEWEST = "1.37.2"
ENDPOINT = "unix:///run/containerd/containerd.sock"
PAUSE = "registry.k8s.io/pause:3.2"


def config(release: tuple[int, ...], kernel: tuple[int, int] | None = None, **settings: Any) -> dict[str, Any]:
    said = {"kubernetes_version": NEWEST, "pause_image": PAUSE, **settings}
    return tomllib.loads(config_toml(cluster(**said), release, kernel))


def described(found: Any, seen: MachineState = SEEN) -> dict[str, Any]:
    """Path -> what is wanted there."""
    return {item.path: item for item in runtime(found).describe(here(found, "n1", seen)).files}


@pytest.mark.parametrize("release", [(1, 6, 38), (1, 7, 35)])
def test_containerd_1_reads_version_2(release: tuple[int, ...]) -> None:
    found = config(release)
    cri = found["plugins"]["io.containerd.grpc.v1.cri"]
    assert found["version"] == 2
    assert cri["sandbox_image"] == PAUSE
    assert cri["cni"] == {"bin_dir": "/opt/cni/bin", "conf_dir": "/etc/cni/net.d"}
    assert cri["registry"] == {"config_path": "/etc/containerd/certs.d"}
    assert cri["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": True}


@pytest.mark.parametrize(
    ("release", "programs"),
    [((2, 0, 7), {"bin_dir": "/opt/cni/bin"}), ((2, 1, 0), {"bin_dirs": ["/opt/cni/bin"]})],
)
def test_containerd_2_reads_version_3(release: tuple[int, ...], programs: dict[str, Any]) -> None:
    found = config(release)
    images, runs = (found["plugins"][f"io.containerd.cri.v1.{name}"] for name in ("images", "runtime"))
    assert found["version"] == 3
    assert images == {"pinned_images": {"sandbox": PAUSE}, "registry": {"config_path": "/etc/containerd/certs.d"}}
    assert runs["cni"] == {**programs, "conf_dir": "/etc/cni/net.d"}
    assert runs["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": True}
    assert not [key for key in runs if key.startswith("enable_unprivileged")]


def test_an_old_kernel_gets_no_unprivileged_ports() -> None:
    """containerd 2 would not start its CRI plugin there."""
    off = {"enable_unprivileged_icmp": False, "enable_unprivileged_ports": False}
    old = config((2, 4, 2), (3, 10))["plugins"]["io.containerd.cri.v1.runtime"]
    assert off.items() <= old.items()
    assert not off.keys() & config((2, 4, 2), (4, 11))["plugins"]["io.containerd.cri.v1.runtime"].keys()


def test_the_users_own_keys_are_merged_in_depth() -> None:
    further = {
        "plugins": {"io.containerd.cri.v1.runtime": {"restrict_oom_score_adj": True, "cni": {"max_conf_num": 2}}}
    }
    runs = config((2, 4, 2), containerd_extra_config={"root": "/data", **further})["plugins"]
    assert runs["io.containerd.cri.v1.runtime"]["restrict_oom_score_adj"] is True
    assert runs["io.containerd.cri.v1.runtime"]["cni"]["max_conf_num"] == 2
    assert runs["io.containerd.cri.v1.runtime"]["cni"]["conf_dir"] == "/etc/cni/net.d"
    assert runs["io.containerd.cri.v1.images"]["pinned_images"] == {"sandbox": PAUSE}


def test_a_diff_has_no_password_of_a_file_that_others_wrote() -> None:
    wanted = config_toml(cluster(kubernetes_version=NEWEST), (1, 7, 35), None)
    theirs = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry.configs."a.b".auth]\npassword = "hunter2"\n'
    assert "hunter2" not in shown(theirs, wanted)
    assert 'password = "..."' in shown(theirs, wanted)
    assert tomllib.loads(shown(wanted, wanted)) == tomllib.loads(wanted)
    assert shown("", wanted) == ""
    assert shown("password = hunter2", wanted) == "(not TOML)\n"


NOTHING: dict[str, Any] = {}
MIRRORS: dict[str, Any] = {
    "docker.io": ["https://hub.example.com/"],
    "registry.k8s.io": [{"url": "https://m.example.com:5000/k8s", "ca": "/etc/ssl/m.pem"}, "http://n/v2/k8s/"],
}


def hosts(**settings: Any) -> dict[str, Any]:
    files = described(cluster(kubernetes_version=NEWEST, **settings))
    texts = {path: item.content for path, item in files.items() if path.endswith("/hosts.toml")}
    return {path.split("/")[4]: tomllib.loads(text)["host"] for path, text in texts.items()}


def test_each_registry_has_its_mirrors() -> None:
    found = hosts(registry_mirrors=MIRRORS)
    usual = {"capabilities": ["pull", "resolve"]}
    assert found["docker.io"] == {"https://hub.example.com": usual}
    assert list(found["registry.k8s.io"].items()) == [
        ("https://m.example.com:5000/v2/k8s", {**usual, "ca": "/etc/ssl/m.pem", "override_path": True}),
        ("http://n/v2/k8s", {**usual, "override_path": True}),
    ]


def test_a_list_is_for_docker_hub_and_none_leaves_what_is_there() -> None:
    assert hosts(registry_mirrors=["https://hub.example.com"]).keys() == {"docker.io"}
    assert hosts() == {}


def test_the_file_of_a_registry_that_is_no_longer_set_goes() -> None:
    of = "/etc/containerd/certs.d/{}/hosts.toml".format
    found = InstalledRuntime((2, 4, 2), PROGRAM, mirrors=(of("quay.io"), of("docker.io")))
    having = replace(SEEN, runtimes={"containerd": found})
    mirrors: dict[str, Any] = {"docker.io": ["https://hub.example.com"]}
    files = described(cluster(kubernetes_version=NEWEST, registry_mirrors=mirrors), having)
    assert isinstance(files[of("quay.io")], NoFile)
    assert isinstance(files[of("docker.io")], File)
    assert of("quay.io") not in described(cluster(kubernetes_version=NEWEST), having), "without the setting all stay"


def test_mirrors_are_no_inputs_as_they_are_read_at_each_pull() -> None:
    plain, with_mirrors = (
        described(cluster(kubernetes_version=NEWEST, **said)) for said in (NOTHING, {"registry_mirrors": MIRRORS})
    )
    unit = "/etc/systemd/system/containerd.service"
    assert plain[unit] == with_mirrors[unit]
    assert plain[CONFIG].edit("") == with_mirrors[CONFIG].edit("")


@pytest.mark.parametrize("version", ["1.20.15", NEWEST])
@pytest.mark.parametrize("source", ["upstream", "distribution"])
def test_a_proxys_password_is_in_a_secret_file_only(version: str, source: str) -> None:
    said: dict[str, Any] = {"kubernetes_version": version, "containerd_source": source}
    proxy = {"https_proxy": "http://me:hunter2@p.example.com:3128", "no_proxy": ".example.com,10.0.0.0/8"}
    files = described(cluster(**said, runtime_proxy=proxy))
    (secret,) = (one for one in files.values() if isinstance(one, File) and one.secret)
    assert (secret.mode, secret.content and secret.content.splitlines()[1:]) == (
        "600",
        ['HTTPS_PROXY="http://me:hunter2@p.example.com:3128"', 'NO_PROXY=".example.com,10.0.0.0/8"'],
    )
    texts = {path: one.content for path, one in files.items() if isinstance(one, File) and one is not secret}
    assert not [path for path, text in texts.items() if "hunter2" in (text or "")]
    assert [path for path, text in texts.items() if f"EnvironmentFile={secret.path}\n" in (text or "")]
    without = described(cluster(**said))
    assert without[secret.path] == NoFile(secret.path, mark=None), "nobody asks what is in it"
    assert not [one for one in without.values() if isinstance(one, File) and "EnvironmentFile" in (one.content or "")]


def test_a_message_does_not_show_it_either() -> None:
    (told,) = problems(runtime_proxy={"https_proxy": "http://me:hunter2@p.example.com:x"})
    assert told.startswith(f"{ALL}: runtime_proxy['https_proxy'] is (secret): use http:// or https://, perhaps user:")


@pytest.mark.parametrize(
    ("version", "flags", "fields"),
    [
        ("1.20.15", {"container-runtime": "remote", "container-runtime-endpoint": ENDPOINT}, {}),
        ("1.23.17", {"container-runtime": "remote", "container-runtime-endpoint": ENDPOINT}, {}),
        ("1.24.17", {"container-runtime-endpoint": ENDPOINT}, {}),
        ("1.26.15", {"container-runtime-endpoint": ENDPOINT}, {}),
        ("1.27.16", {}, {"containerRuntimeEndpoint": ENDPOINT}),
        (NEWEST, {}, {"containerRuntimeEndpoint": ENDPOINT}),
    ],
)
def test_the_kubelet_is_told_of_it_as_its_minor_reads_it(
    version: str, flags: dict[str, str], fields: dict[str, str]
) -> None:
    found = cluster(kubernetes_version=version, container_runtime="containerd")
    node = found.machine("n1")
    told, configuration = kubelet_flags(found, node), kubelet_configuration(found, node, "/etc/resolv.conf")
    assert {name: value for name, value in told.items() if name.startswith("container-")} == flags
    assert {name: value for name, value in configuration.items() if name == "containerRuntimeEndpoint"} == fields
    assert ("pod-infra-container-image" in told) is (found.release.minor < (1, 35))
    assert not {"network-plugin", "cni-bin-dir", "cni-conf-dir"} & told.keys()
    assert (configuration["containerLogMaxSize"], configuration["containerLogMaxFiles"]) == ("500Mi", 3)


def test_with_docker_the_kubelets_configuration_says_nothing_of_it() -> None:
    found = cluster()
    configuration = kubelet_configuration(found, found.machine("n1"), "/etc/resolv.conf")
    assert not [name for name in configuration if name.startswith("container")]


@pytest.mark.parametrize(
    ("release", "systemd", "wanted"),
    [
        ((1, 7, 35), 252, ["LimitNOFILE=infinity"]),
        ((2, 4, 2), 252, []),
        ((2, 4, 2), 239, ["LimitNOFILE=1024:524288"]),
        ((2, 4, 2), 219, ["LimitNOFILE=524288"]),
    ],
)
def test_containers_may_open_as_many_files_as_with_upstreams_unit(
    release: tuple[int, ...], systemd: int, wanted: list[str]
) -> None:
    assert [line for line in service_lines(release, systemd) if line.startswith("LimitNOFILE")] == wanted


def test_the_unit_leaves_containers_alone_and_takes_its_own_shim() -> None:
    unit = described(cluster(kubernetes_version=NEWEST))["/etc/systemd/system/containerd.service"].content
    assert {"KillMode=process", "Delegate=yes", "Type=notify"} <= set(unit.splitlines())
    (path,) = (line for line in unit.splitlines() if line.startswith("Environment=PATH="))
    assert path.startswith("Environment=PATH=/opt/containerd/bin:")


@pytest.mark.parametrize("source", ["docker-ce", "distribution"])
def test_a_package_keeps_its_unit_and_its_programs(source: str) -> None:
    found = cluster(kubernetes_version=NEWEST, containerd_source=source)
    files = described(found)
    assert "/etc/systemd/system/containerd.service" not in files
    assert "/etc/systemd/system/containerd.service.d/kubeinfra.conf" in files
    assert [need.artifact.name for need in runtime(found).binaries(found, "amd64")] == ["crictl"]
    assert runtime(found).unit.binary == ""
    assert "/usr/local/bin/ctr" not in files


def test_the_configuration_is_for_the_release_that_a_package_has() -> None:
    found = cluster(kubernetes_version="1.30.14", containerd_source="distribution")
    having = replace(SEEN, runtimes={"containerd": InstalledRuntime((2, 1, 4), "/usr/bin/containerd", "containerd")})
    assert [tomllib.loads(described(found, seen)[CONFIG].edit(""))["version"] for seen in (SEEN, having)] == [2, 3]


def test_crictl_comes_unless_it_is_not_wanted() -> None:
    wanted, not_wanted = (cluster(kubernetes_version=NEWEST, crictl=value) for value in (True, False))
    assert isinstance(described(wanted)["/usr/local/bin/crictl"], Link)
    assert f"runtime-endpoint: {ENDPOINT}\n" in described(wanted)[CRICTL_YAML].content
    assert not {"/usr/local/bin/crictl", CRICTL_YAML} & described(not_wanted).keys()
    names = [need.artifact.name for need in runtime(not_wanted).binaries(not_wanted, "arm64")]
    assert names == ["containerd", "runc"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "docker with 1.24": (
        {"kubernetes_version": "1.24.17", "container_runtime": "docker"},
        "container_runtime is 'docker', which Kubernetes 1.24.17 cannot use",
    ),
    "a Docker that is too new": (
        {"kubernetes_version": "1.20.15", "docker_version": "29.0"},
        "docker_version is '29.0', and Kubernetes 1.20.15 needs one below 29; take it out",
    ),
    "containerd 2 with 1.22": (
        {"kubernetes_version": "1.22.17", "container_runtime": "containerd", "containerd_version": "2.4.2"},
        "containerd_version is '2.4.2', and Kubernetes 1.22.17 goes with 1.4 to below 2.0; take it out, and 1.7.35 is",
    ),
    "containerd that is too old": (
        {"kubernetes_version": NEWEST, "containerd_version": "1.7.35"},
        "containerd_version is '1.7.35', and Kubernetes 1.37.2 goes with",
    ),
    "a prefix of a version of upstream's": (
        {"kubernetes_version": NEWEST, "containerd_version": "2.4"},
        "containerd_version is '2.4', and upstream's releases have three numbers",
    ),
    "a version of the distribution's": (
        {"kubernetes_version": NEWEST, "containerd_version": "2.4.2", "containerd_source": "distribution"},
        "containerd_version is '2.4.2', and containerd_source is 'distribution'",
    ),
    "mirrors that Docker does not take": (
        {"registry_mirrors": MIRRORS},
        "registry_mirrors has registry.k8s.io, and Docker takes mirrors of Docker Hub only",
    ),
    "a mirror with a path for Docker": (
        {"registry_mirrors": {"docker.io": ["https://a/b"]}},
        "registry_mirrors has https://a/b, and Docker takes mirrors of Docker Hub only",
    ),
    "keys of containerd for Docker": (
        {"containerd_extra_config": {"root": "/data"}},
        "containerd_extra_config is set, and the container runtime is docker",
    ),
    "keys of Docker for containerd": (
        {"kubernetes_version": NEWEST, "docker_extra_config": {"data-root": "/data"}},
        "docker_extra_config is set, and the container runtime is containerd",
    ),
    "one log file": (
        {"kubernetes_version": NEWEST, "container_log_max_files": 1},
        "container_log_max_files is 1, and with containerd the kubelet rotates logs",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_settings_that_do_not_go_together_are_refused(case: str) -> None:
    settings, reason = REFUSED[case]
    (told,) = problems(**settings)
    assert told.startswith(f"{ALL}: {reason}")


TAKEN: list[dict[str, Any]] = [
    {"kubernetes_version": "1.23.17", "container_runtime": "docker"},
    {"kubernetes_version": "1.22.17", "container_runtime": "containerd", "containerd_version": "1.7.35"},
    {"kubernetes_version": NEWEST, "containerd_version": "2.4", "containerd_source": "docker-ce"},
    {"docker_version": "2", "kubernetes_version": "1.20.15"},  # of those, one below 29 is taken
    {"docker_version": "28.5", "kubernetes_version": "1.20.15"},
    {"registry_mirrors": {"docker.io": ["https://a"]}},
    {"container_log_max_files": 1},
]


@pytest.mark.parametrize("settings", TAKEN, ids=lambda settings: next(iter(settings)))
def test_settings_that_go_together_are_taken(settings: dict[str, Any]) -> None:
    assert problems(**settings) == ()


ACCEPTS = """case $* in
--version) echo containerd x {} ;;
*"config dump") grep -q version "$2" || {{ echo "toml: no"; exit 1; }} ;;
esac"""


@pytest.mark.parametrize(
    ("version", "text", "accepted"),
    [("v2.4.2", "version = 3", True), ("v2.4.2", "no", False), ("v1.7.35", "no", True), ("2.4.9-x", "no", False)],
    ids=["valid", "refused by containerd", "another release is still in place", "without a v"],
)
def test_containerd_reads_the_file_before_it_takes_the_old_ones_place(
    version: str, text: str, accepted: bool, tmp_path: Path
) -> None:
    programs = program(tmp_path / "programs", "containerd", ACCEPTS.format(version))
    program(programs, "chown", "exit 0")
    wanted = described(cluster(kubernetes_version=NEWEST, containerd_version="2.4.2"))[CONFIG]
    path = tmp_path / "config.toml"
    path.write_text("old")
    edit = Edit(str(path), lambda _: text, check=wanted.check.replace("PATH=", f"PATH={programs}:", 1))
    changes = compare([edit], {str(path): PathState("file", "644", "root:root", "", "", "old")})
    ran = shell(SCRIPT, stdin=script_input(changes), programs=programs)
    assert (ran.returncode == 0) is accepted, ran.stderr
    assert path.read_text() == (text if accepted else "old")


REAL = shutil.which("containerd")


@pytest.mark.skipif(REAL is None, reason="asks the real containerd")
def test_the_real_one_reads_its_configuration(tmp_path: Path) -> None:
    programs = program(tmp_path / "programs", "dpkg-query", "exit 1")
    found = answer(MachineFacts(), programs=programs).runtimes["containerd"]
    path = tmp_path / "config.toml"
    path.write_text(config_toml(cluster(kubernetes_version=NEWEST), found.version, (3, 10)))
    ran = shell(f"{REAL} --config {path} config dump")
    assert ran.returncode == 0, ran.stderr
    assert "SystemdCgroup = true" in ran.stdout
    assert "/etc/containerd/certs.d" in ran.stdout
