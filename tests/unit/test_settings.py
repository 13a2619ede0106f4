"""Settings are read strictly: each mistake is one sentence with the place, the value and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeinfra.cluster.settings import MachineSettings, Settings, read

FILE = "group_data/all.py"


def problems(**values: Any) -> list[str]:
    return read(Settings, values, dict.fromkeys(values, FILE))[1]


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"kubernetes_versoin": "1.20.15"}, "unknown setting kubernetes_versoin; did you mean kubernetes_version?"),
    ({"service_cdir": "10.0.0.0/24"}, "unknown setting service_cdir; did you mean service_cidr?"),
    ({"colour": "blue"}, "unknown setting colour; README.md lists every setting"),
    ({"service_cidr": "10.0.0.1/24"}, "service_cidr is '10.0.0.1/24': input is not a valid IPv4 network"),
    ({"dns_address": "10.0.0"}, "dns_address is '10.0.0': input is not a valid IPv4 address"),
    (
        {"apiserver_port": "https"},
        "apiserver_port is 'https': input should be a valid integer, unable to parse string as an integer",
    ),
    ({"apiserver_port": 70000}, "apiserver_port is 70000: input should be less than or equal to 65535"),
    ({"ca_years": 0}, "ca_years is 0: input should be greater than or equal to 1"),
    ({"kubernetes_version": 1.20}, "kubernetes_version is 1.2: input should be a valid string"),
    ({"flannel_backend": "udp"}, "flannel_backend is 'udp': input should be 'vxlan' or 'host-gw'"),
    ({"registry_mirrors": "https://a"}, "registry_mirrors is 'https://a': input should be a valid list"),
    ({"apiserver_extra_args": {"v": 4}}, "apiserver_extra_args['v'] is 4: input should be a valid string"),
    (
        {"cluster_name": "Mein Cluster"},
        "cluster_name is 'Mein Cluster': use lower-case letters, digits and '-', at most 63, "
        "with a letter or digit at both ends",
    ),
    (
        {"docker_log_max_size": "500M"},
        "docker_log_max_size is '500M': use a number with k, m or g, such as '500m'",
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


@pytest.mark.parametrize(("values", "sentence"), MISTAKES, ids=[" ".join(row[0]) for row in MISTAKES])
def test_a_mistake_is_told_with_its_place_its_value_and_what_is_allowed(values: dict[str, Any], sentence: str) -> None:
    assert problems(**values) == [f"{FILE}: {sentence}"]


def test_all_mistakes_are_told_at_once() -> None:
    told = problems(apiserver_port=0, colour="blue", dns_address="x", service_cdir="y")
    assert len(told) == 4
    assert all(sentence.startswith(f"{FILE}: ") for sentence in told)


def test_a_password_is_not_told() -> None:
    assert problems(vrrp_password="far-too-long") == [
        f"{FILE}: vrrp_password is (secret): use at most 8 letters, digits, '_', '.', '+' and '-', such as 'k8s-lb51'"
    ]


def test_what_is_not_said_has_its_default_and_nothing_can_be_changed_later() -> None:
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
