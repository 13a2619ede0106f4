"""Settings are read strictly: each error is one sentence with the place, the value and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeinfra.cluster.settings import MachineSettings, Settings, read

FILE = "group_data/all.py"
MIRROR = "use https:// or http:// and a host, without a path, such as 'https://mirror.example.com'"


def problems(**values: Any) -> list[str]:
    return read(Settings, values, dict.fromkeys(values, FILE))[1]


ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"kubernetes_versoin": "1.20.15"}, "unknown setting kubernetes_versoin; did you mean kubernetes_version?"),
    ({"service_cdir": "10.0.0.0/24"}, "unknown setting service_cdir; did you mean service_cidr?"),
    ({"colour": "blue"}, "unknown setting colour; docs/settings.md lists every setting"),
    (
        {"cluster_cidr": "10.244.1.0/16"},
        "cluster_cidr is '10.244.1.0/16': it has host bits set; the network is '10.244.0.0/16'",
    ),
    ({"service_cidr": "10.0.0.0"}, "service_cidr is '10.0.0.0': its prefix length is missing, such as '10.0.0.0/24'"),
    ({"service_cidr": "10.0.0.0/33"}, "service_cidr is '10.0.0.0/33': input is not a valid IPv4 network"),
    ({"service_cidr": 10}, "service_cidr is 10: use text, such as '10.244.0.0/16'"),
    (
        {"service_cidr": "fd00::/108"},
        "service_cidr is 'fd00::/108': this is IPv6; the cluster uses IPv4, such as '10.244.0.0/16'",
    ),
    (
        {"virtual_ip": "fd00::1"},
        "virtual_ip is 'fd00::1': this is IPv6; the cluster uses IPv4, such as '192.168.80.10'",
    ),
    ({"virtual_ip": 5}, "virtual_ip is 5: use text, such as '192.168.80.10'"),
    ({"authority_years": 5}, "authority_years is now ca_years; rename it"),
    ({"dns_address": "10.0.0"}, "dns_address is '10.0.0': input is not a valid IPv4 address"),
    (
        {"apiserver_port": "https"},
        "apiserver_port is 'https': input should be a valid integer, unable to parse string as an integer",
    ),
    ({"apiserver_port": 70000}, "apiserver_port is 70000: input should be less than or equal to 65535"),
    ({"ca_years": 0}, "ca_years is 0: input should be greater than or equal to 1"),
    ({"kubernetes_version": 1.20}, "kubernetes_version is 1.2: write it as text, with all three numbers: '1.20.15'"),
    ({"flannel_backend": "udp"}, "flannel_backend is 'udp': input should be 'vxlan' or 'host-gw'"),
    (
        {"docker_extra_config": {"hosts": ["tcp://0.0.0.0:2375"]}},
        "docker_extra_config is {'hosts': ['tcp://0.0.0.0:2375']}: take 'hosts' out: Docker's unit has it on its "
        "command line, and Docker does not start with both; use a drop-in of docker.service",
    ),
    *(
        (
            {"docker_extra_config": {"registry-mirrors": mirrors}},
            f"docker_extra_config is {{'registry-mirrors': {mirrors}}}: its mirror {mirrors[-1]!r} is one that Docker "
            f"does not start with: {MIRROR}",
        )
        for mirrors in (["https://a.example.com", "https://a.example.com/hub"], ["a.example.com"])
    ),
    ({"registry_mirrors": "https://a"}, "registry_mirrors is 'https://a': input should be a valid list"),
    ({"apiserver_extra_args": {"v": 4}}, "apiserver_extra_args['v'] is 4: input should be a valid string"),
    (
        {"cluster_name": "Mein Cluster"},
        "cluster_name is 'Mein Cluster': use lower-case letters, digits and '-', at most 63, "
        "with a letter or digit at both ends",
    ),
    (
        {"container_log_max_size": "500M"},
        "container_log_max_size is '500M': use a number with k, m or g, such as '500m'",
    ),
    (
        {"etcd_compaction_retention": "1 hour"},
        "etcd_compaction_retention is '1 hour': use a number with h (hours) or m (minutes), such as '1h'",
    ),
    (
        {"node_port_range": "30000"},
        "node_port_range is '30000': use the first and the last port with '-' between them, such as '30000-32767'",
    ),
    (
        {"node_port_range": "٣٠٠٠٠-٣٢٧٦٧"},
        "node_port_range is '٣٠٠٠٠-٣٢٧٦٧': use the first and the last port with '-' between them, "
        "such as '30000-32767'",
    ),
    (
        {"backup_dir": "data/backup"},
        "backup_dir is 'data/backup': use a path from / on, of letters, digits, '_', '.' and '-', "
        "such as '/data/backup'",
    ),
    (
        {"apiserver_extra_args": {"--v": "4"}},
        "apiserver_extra_args['--v'] is '--v': name the flag without the dashes before it, such as 'feature-gates'",
    ),
]

REPOSITORY = "use https:// or http:// and a host, such as 'https://mirror.example.com/docker-ce'"
ARTIFACTS = "use https:// or http:// and a host, and no braces but {host}, such as 'https://mirror.example.com/{host}'"
ENDPOINT = "use address:port without https://, such as '192.168.80.88:6443' or 'k8s.example.com:443'"
UPSTREAM = (
    "use an IPv4 address, if need be with ':' and a port, or the path of a resolv.conf from / on, "
    "such as '192.168.80.1' or '/etc/resolv.conf'"
)
SERVER = "use a host name or an IPv4 address, such as 'ntp.example.com' or '192.168.80.1'"
IMAGE = "use an image's name with its tag, such as 'registry.example.com/pause:3.2'"
ETCD = "use a version of three numbers, without v"
DOCKER = "use the beginning of a version, without v or 5: before it, such as '24.0'"
BUILD = "use its path below artifacts_dir, <name>/<version>/<file> or images/<file>"
DIGEST = "use sha256: and 64 hex digits in lower case, as sha256sum prints them"
SYSCTL = "use a sysctl's name with dots, such as 'net.core.somaxconn'"
PATH = "use a path, such as '/data/artifacts'"
SHA = f"sha256:{'0' * 64}"

# Setting, the reason, values that are refused for it, values that are taken.
FORMS: list[tuple[str, str, list[str], list[str]]] = [
    (
        "registry_mirrors",
        MIRROR,
        [
            "mirror.example.com",
            "ftp://mirror.example.com",
            "https://",
            "https://mirror.example.com/hub",
            "https://mirror.example.com?a=b",
            "https://mirror.example.com https://other.example.com",
            "https://mirror.example.com:0",
            "https://mirror.example.com:https",
            "https://10.0.0.256",
            "https://<yours>.mirror.aliyuncs.com",
        ],
        ["https://mirror.example.com", "http://10.0.0.1:5000", "https://Mirror.example.com/", "http://localhost:5000"],
    ),
    (
        "docker_repository",
        REPOSITORY,
        [
            "mirrors.aliyun.com/docker-ce",
            "https://a.com/x y",
            "https://a.com/x?y",
            "https://a.com/x#y",
            "",
            "https://a_b/",
        ],
        ["https://mirrors.aliyun.com/docker-ce", "https://download.docker.com", "http://10.0.0.1:8080/a/b/"],
    ),
    (
        "artifact_mirror",
        ARTIFACTS,
        ["files.example.com", "https://files.example.com/{hots}", "file:///srv"],
        ["https://files.m.daocloud.io/{host}", "http://127.0.0.1:9", "https://{host}.example.com/k8s"],
    ),
    (
        "control_plane_endpoint",
        ENDPOINT,
        ["192.168.80.88", "https://192.168.80.88:6443", ":6443", "lb:", "lb:0", "lb:65536", "lb:²", "10.0.0.256:1"],
        ["192.168.80.88:6443", "k8s.example.com:443", "lb:6443", f"{'k8s.' * 20}example.com:443"],
    ),
    (
        "dns_upstreams",
        UPSTREAM,
        ["8.8.8.8.8", "8.8.8.8:", "8.8.8.8:99999", "dns.example.com", "resolv.conf", "/etc/a b", ""],
        ["8.8.8.8", "8.8.8.8:5353", "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"],
    ),
    (
        "time_servers",
        SERVER,
        ["8.8.8.8.8", "10.0.0.256", "ntp.example.com iburst", "ntp_1.example.com", "", f"{'a.' * 127}a"],
        ["ntp.aliyun.com", "NTP1", "10.0.0.1", "0.pool.ntp.org"],
    ),
    ("artifacts_dir", PATH, ["", " "], ["/data/artifacts", "built", "~/artifacts"]),
    ("cache_dir", PATH, [""], ["~/.cache/kubeinfra"]),
    *(
        (
            f"{name}_image",
            IMAGE,
            [
                "registry.k8s.io/pause",
                "https://registry.k8s.io/pause:3.2",
                "pause:",
                "a/B:1",
                "a:1 ",
                "a:1@sha256:0",
                ":1",
                "",
            ],
            ["registry.k8s.io/pause:3.2", "localhost:5000/a/b-c__d:v1.9.1-x", "a:1", f"a@{SHA}", f"Reg.io/a:1@{SHA}"],
        )
        for name in ("pause", "flannel", "flannel_cni_plugin", "coredns", "verify")
    ),
    ("etcd_version", ETCD, ["v3.4.26", "3.4", "3.4.26 ", ""], ["3.4.26", "3.5.0-rc.1"]),
    (
        "docker_version",
        DOCKER,
        ["v24.0", "5:24.0", "latest", "24 0", ""],
        ["24", "24.0", "24.0.9-1~debian.12~bookworm"],
    ),
]
REFUSED = [(setting, value, reason) for setting, reason, refused, _ in FORMS for value in refused]
TAKEN = [(setting, value) for setting, _, _, taken in FORMS for value in taken]
LISTS = ("registry_mirrors", "dns_upstreams", "time_servers")


@pytest.mark.parametrize(("setting", "value", "reason"), REFUSED)
def test_a_value_of_the_wrong_form_is_refused(setting: str, value: str, reason: str) -> None:
    if setting in LISTS:
        assert problems(**{setting: [value]}) == [f"{FILE}: {setting}[0] is {value!r}: {reason}"]
    else:
        assert problems(**{setting: value}) == [f"{FILE}: {setting} is {value!r}: {reason}"]


@pytest.mark.parametrize(("setting", "value"), TAKEN)
def test_a_value_of_the_right_form_is_taken_as_it_is(setting: str, value: str) -> None:
    written = [value] if setting in LISTS else value
    found, told = read(Settings, {setting: written}, {})
    assert told == []
    assert getattr(found, setting) == written


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("registry_mirrors", "https://[fd00::1]:5000"),
        ("docker_repository", "https://[fd00::1]/docker-ce"),
        ("control_plane_endpoint", "[fd00::1]:6443"),
        ("control_plane_endpoint", "fd00::1"),
        ("dns_upstreams", "2001:4860:4860::8888"),
        ("dns_upstreams", "[fd00::1]:53"),
        ("time_servers", "fd00::1"),
    ],
)
def test_ipv6_is_named_in_the_message(setting: str, value: str) -> None:
    (told,) = problems(**{setting: [value] if setting in LISTS else value})
    assert f" is {value!r}: this is IPv6; the cluster uses IPv4, such as '" in told


def test_a_user_and_a_password_in_a_url_are_refused_and_not_shown() -> None:
    assert problems(artifact_mirror="https://me:pw@files.example.com") == [
        f"{FILE}: artifact_mirror is 'https://(secret)@files.example.com': "
        "take the user and the password out of it: they would be shown in files and logs"
    ]


@pytest.mark.parametrize("path", ["/etcd/1/a", "etcd/a", "../1/a", "etcd/../a", "images/a/b", "etcd/1/a b", "images/"])
def test_an_own_build_has_a_path_of_the_right_form(path: str) -> None:
    assert problems(own_builds={path: SHA}) == [f"{FILE}: own_builds[{path!r}] is {path!r}: {BUILD}"]


def test_an_own_build_has_a_digest() -> None:
    good = {"etcd/3.4.26/etcd-v3.4.26-linux-amd64.tar.gz": SHA, "images/registry.k8s.io_pause_3.2-amd64.tar": SHA}
    assert problems(own_builds=good) == []
    for wrong in ("0" * 64, "sha256:0", SHA.upper(), "md5:0"):
        assert problems(own_builds={"images/a.tar": wrong}) == [
            f"{FILE}: own_builds['images/a.tar'] is {wrong!r}: {DIGEST}"
        ]


@pytest.mark.parametrize(
    "name", ["ip_forward", "net/ipv4/ip_forward", "net.ipv4.", ".net", "net.*.rp_filter", "-net.a"]
)
def test_what_is_no_name_of_a_sysctl_is_refused(name: str) -> None:
    assert problems(extra_sysctls={name: 1}) == [f"{FILE}: extra_sysctls[{name!r}] is {name!r}: {SYSCTL}"]


@given(
    st.from_regex(r"[a-z][a-z0-9_-]*(\.[A-Za-z0-9_/-]+){1,5}", fullmatch=True),
    st.integers() | st.just("4096 87380 6291456"),
)
def test_every_name_of_a_sysctl_is_taken(name: str, value: int | str) -> None:
    assert problems(extra_sysctls={name: value}) == []


CONTROL = "it has a line break or another control character in it; take that out"


@pytest.mark.parametrize("character", ["\n", "\r", "\t", "\0", "\x1b", "\x85", "\u2028", "\ud800"])
@pytest.mark.parametrize(
    "values",
    [
        {"cluster_name": "a{}b"},
        {"extra_sysctls": {"kernel.core_pattern": "core{}kernel.panic = 1"}},
        {"extra_sysctls": {"kernel.{}panic": 1}},
        {"apiserver_extra_args": {"v": "4{}--anonymous-auth=true"}},
        {"kubelet_extra_config": {"a": [{"b{}": 1}]}},
        {"docker_extra_config": {"a": {"b": ["{}"]}}},
        {"node_labels": {"a": "{}"}},
        {"time_servers": ["a", "b{}c"]},
        {"artifacts_dir": "/data{}"},
    ],
    ids=lambda values: next(iter(values)),
)
def test_a_control_character_is_refused_wherever_it_stands(values: dict[str, Any], character: str) -> None:
    (name,) = values
    written = with_character(values[name], character)
    assert problems(**{name: written}) == [f"{FILE}: {name} is {written!r}: {CONTROL}"]


def with_character(value: Any, character: str) -> Any:
    """The value with this character in place of each pair of braces."""
    if isinstance(value, dict):
        return {with_character(key, character): with_character(one, character) for key, one in value.items()}
    if isinstance(value, list):
        return [with_character(one, character) for one in value]
    return value.replace("{}", character) if isinstance(value, str) else value


def test_a_machine_has_no_control_character_either() -> None:
    assert read(MachineSettings, {"hostname": "n1\n"}, {"hostname": "inventory: n1"})[1] == [
        f"inventory: n1: hostname is 'n1\\n': {CONTROL}"
    ]


@pytest.mark.parametrize(
    "setting", ["kubelet_extra_config", "docker_extra_config", "kube_proxy_conntrack", "kube_proxy_extra_config"]
)
def test_what_json_cannot_write_is_refused(setting: str) -> None:
    assert problems(**{setting: {"a": 1j}}) == [f"{FILE}: {setting}['a'] is 1j: input was not a valid JSON value"]


@pytest.mark.parametrize(("values", "sentence"), ERRORS, ids=[" ".join(row[0]) for row in ERRORS])
def test_an_error_names_the_place_the_value_and_what_is_allowed(values: dict[str, Any], sentence: str) -> None:
    assert problems(**values) == [f"{FILE}: {sentence}"]


def test_all_errors_are_reported_at_once() -> None:
    told = problems(apiserver_port=0, colour="blue", dns_address="x", service_cdir="y")
    assert len(told) == 4
    assert all(sentence.startswith(f"{FILE}: ") for sentence in told)


def test_a_password_is_not_shown() -> None:
    assert problems(vrrp_password="far-too-long") == [
        f"{FILE}: vrrp_password is (secret): use at most 8 letters, digits, '_', '.', '+' and '-', such as 'k8s-lb51'"
    ]


def test_a_setting_that_is_not_given_has_its_default_and_settings_are_frozen() -> None:
    found, told = read(Settings, {}, {})
    assert told == []
    assert found == Settings()
    with pytest.raises(ValueError, match="frozen"):
        Settings().apiserver_port = 1


def test_every_setting_has_a_meaning_for_the_readme() -> None:
    without = [name for name, field in Settings.model_fields.items() if not (field.description or "").endswith(".")]
    assert without == []


LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


@given(LABELS)
def test_every_name_that_kubernetes_takes_is_taken(name: str) -> None:
    assert read(MachineSettings, {"hostname": name}, {})[1] == []


@given(
    LABELS.map(lambda name: f"-{name[:62]}")
    | LABELS.map(lambda name: f"{name[:62]}-")
    | LABELS.map(lambda name: f"{name}_")
    | LABELS.map(lambda name: f"{name}.")
    | LABELS.map(lambda name: f"A{name[:62]}")
    | st.just("ä" * 3)
    | st.just("a" * 64)
    | st.just("")
)
def test_every_other_name_is_refused(name: str) -> None:
    assert len(read(MachineSettings, {"hostname": name}, {})[1]) == 1


@pytest.mark.parametrize("value", [0, -1, True, "0%", "101%", "10", "10 %", "ten", 1.5, None, [1]])
def test_how_many_may_be_away_is_a_number_or_a_percentage(value: object) -> None:
    wanted = "use a number from 1 on, such as 2, or a percentage from '1%' to '100%'"
    assert problems(max_unavailable=value) == [f"{FILE}: max_unavailable is {value!r}: {wanted}"]
