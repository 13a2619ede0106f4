"""What each minor's components are told, against what they have: tests/data/flags, which `make flags` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cluster_samples import guide

from kubeinfra.cluster.cluster import Cluster
from kubeinfra.components import flags
from kubeinfra.components.proxy_mode import known_modes
from kubeinfra.releases.catalogue import NEWEST
from kubeinfra.releases.lifetimes import LIFETIMES, Kind
from kubeinfra.releases.versions import numbers
from lab.flags.collect import given

DATA = Path(__file__).parents[1] / "data" / "flags"
MINORS = [minor for minor in NEWEST if (DATA / f"{minor}.json").exists()]
KINDS: tuple[Kind, ...] = ("flags", "fields")


def known(minor: str) -> Any:
    return json.loads((DATA / f"{minor}.json").read_text())


def cluster(minor: str) -> Cluster:
    return guide(kubernetes_version=known(minor)["version"].removeprefix("v"), masters_schedulable=True)


def paths(configuration: Mapping[str, Any], fields: set[str], prefix: str = "") -> Iterator[str]:
    """As "authentication.anonymous.enabled"; what is in a map of the user's own names is no field."""
    for name, value in configuration.items():
        path = f"{prefix}{name}"
        yield path
        if isinstance(value, Mapping) and any(field.startswith(f"{path}.") for field in fields):
            yield from paths(value, fields, f"{path}.")


@pytest.mark.parametrize("minor", MINORS)
def test_a_component_gets_no_flag_that_its_minor_has_not(minor: str) -> None:
    has = known(minor)["flags"]
    unknown = [f"{name} --{flag}" for name, said in given(cluster(minor)) for flag in said if flag not in has[name]]
    assert not unknown


@pytest.mark.parametrize("minor", MINORS)
def test_a_configuration_file_has_no_field_that_its_minor_has_not(minor: str) -> None:
    found, fields = cluster(minor), {name: set(names) for name, names in known(minor)["fields"].items()}
    for node in found.nodes:
        kubelet = flags.kubelet_configuration(found, node, "/etc/resolv.conf")
        assert not set(paths(kubelet, fields["kubelet"])) - fields["kubelet"]
        for mode in known_modes(found):
            proxy = flags.kube_proxy_configuration(found, node, mode)
            assert not set(paths(proxy, fields["kube-proxy"])) - fields["kube-proxy"]


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize("kind", KINDS)
def test_lifetimes_are_those_of_the_programs(kind: Kind, minor: str) -> None:
    has = {program: set(names) for program, names in known(minor)[kind].items() if program != "kubectl"}
    assert not [line for program in has for line in contradictions(kind, program, minor, has[program])]


def contradictions(kind: Kind, program: str, minor: str, has: set[str]) -> Iterator[str]:
    """What lifetimes.toml says otherwise. What it says of all programs is not that each of them ever had it."""
    own, all_programs = LIFETIMES[kind].get(program, {}), LIFETIMES[kind].get("all", {})
    for name, told in {**all_programs, **own}.items():
        if told.knows(numbers(minor)) is not (name in has) and (name in own or name in has):
            yield f"{program} {name}: {told.text}, and {minor} {'has it' if name in has else 'has it not'}"
