"""
Shell that no run is needed for, through `sh -n` and shellcheck: facts, the script of desired state, scripts in files/
and lab/. What tasks and operations send is looked at by tests/plan/test_shell_sent.py.
"""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from cluster_samples import cluster, here
from pyinfra.api import FactBase
from shell_check import findings, inner, units_commands

from kubeinfra import facts
from kubeinfra.cluster.settings import MODES
from kubeinfra.components import etcd, etcd_snapshot, node
from kubeinfra.components.control_plane import KUBECTL
from kubeinfra.components.kube_proxy import left_by_other_modes
from kubeinfra.components.runtime import Runtime
from kubeinfra.components.runtime.containerd import Containerd
from kubeinfra.components.runtime.docker import Docker
from kubeinfra.facts.binaries import BinaryStates
from kubeinfra.facts.certificates import CertificateStates
from kubeinfra.facts.files import OnDisk, PathStates
from kubeinfra.facts.health import Awaited, Health, Succeeds
from kubeinfra.facts.images import ImageIds
from kubeinfra.facts.machine import MachineFacts, MissingPackages, System, Unreached
from kubeinfra.facts.network import VirtualAddress
from kubeinfra.facts.nodes import NodeObjects
from kubeinfra.facts.snapshots import Digest
from kubeinfra.facts.units import UnitsAndHealth, UnitStates
from kubeinfra.machine.inputs import record_inputs
from kubeinfra.machine.wanted import SCRIPT

ROOT = Path(__file__).resolve().parents[2]
PATHS = ["/etc/hosts", "/opt/etcd/cfg/etcd"]
SHOWN = {"/etc/hosts": "", "/opt/etcd/cfg/etcd": "0" * 64}
PAIRS = {"/opt/etcd/ssl/server.pem": "/opt/etcd/ssl/server-key.pem"}
UNITS = {"etcd.service": "/opt/etcd/bin/etcd", "chrony.service": ""}
RUNTIMES: tuple[Runtime, ...] = (Docker(), Containerd())
PROBE = """words=$(printf '%s' "it's") || { echo "$words"; exit 1; }"""

# Each fact with arguments that fill every part of its command.
FACTS: dict[type[FactBase[Any]], list[dict[str, Any]]] = {
    Awaited: [{"script": PROBE}],
    BinaryStates: [{"wanted": {"/opt/etcd/bin/etcd": "0" * 64, "/opt/etcd/bin/etcdctl": ""}}],
    CertificateStates: [{"pairs": PAIRS}],
    Digest: [{"path": "/data/backup/a snapshot.db"}],
    Health: [{"asked": [("etcd", "etcd01", PROBE), ("virtual address", "lb1", "exit 0")]}],
    ImageIds: [{"asked": one.image_ids(["registry.k8s.io/pause:3.2", "a/b@sha256:0"])} for one in RUNTIMES],
    MachineFacts: [{}],
    MissingPackages: [{"names": ["curl", "socat"], "family": family} for family in ("debian", "redhat")],
    NodeObjects: [{"kubectl": KUBECTL}],
    OnDisk: [{"paths": PATHS, "shown": SHOWN, "pairs": pairs} for pairs in (PAIRS, {})],
    PathStates: [{"paths": PATHS, "shown": SHOWN}],
    Succeeds: [{"probe": PROBE}],
    System: [{"modules": {"overlay": "/sys/module/overlay"}, "sysctls": ["net.ipv4.ip_forward", "vm.swappiness"]}],
    Unreached: [{}],
    UnitStates: [{"binaries": UNITS}],
    UnitsAndHealth: [{"binaries": UNITS, "probes": {"healthy": PROBE}}, {"binaries": UNITS, "probes": {}}],
    VirtualAddress: [{"address": "192.168.80.100", "peers": ["192.168.80.13", "192.168.80.14"]}],
}


def test_every_fact_is_here() -> None:
    known = {
        value
        for module in iter_modules(facts.__path__)
        for value in vars(import_module(f"kubeinfra.facts.{module.name}")).values()
        if inspect.isclass(value) and issubclass(value, FactBase) and value.__module__.startswith("kubeinfra.")
    }
    assert known == set(FACTS)


def shell(found: list[str]) -> None:
    assert not found, "\n".join(found)


@pytest.mark.parametrize("fact", FACTS)
def test_the_command_of_each_fact_is_sound(fact: type[FactBase[Any]], tmp_path: Path) -> None:
    shell(findings((str(fact().command(**arguments)) for arguments in FACTS[fact]), tmp_path))


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
def test_what_a_container_runtime_is_told_is_sound(runtime: Runtime, tmp_path: Path) -> None:
    every = [runtime.load_images(["/a/b.tar.gz"]), runtime.restart_containers(["coredns"]), runtime.ready.command]
    shell(findings(every, tmp_path))


def test_the_script_of_desired_state_is_sound(tmp_path: Path) -> None:
    shell(findings([SCRIPT], tmp_path))


def test_the_line_that_records_inputs_is_sound(tmp_path: Path) -> None:
    line = record_inputs("a.service", ["/etc/a", "/etc/b"], optional=["/etc/d"], existence=["/etc/e"])
    scripts = list(units_commands(f"ExecStartPre={line}"))
    assert len(scripts) == 1
    shell(findings(scripts, tmp_path))


def test_what_only_newer_releases_are_sent_is_sound(tmp_path: Path) -> None:
    """The runs of tests/plan/test_shell_sent.py are of the guide's release."""
    found = [cluster(kubernetes_version="1.37.2", kube_proxy_mode=mode) for mode in MODES]
    left = [one for of in found for one in left_by_other_modes(here(of, "n1"))]
    assert len(left) == 6
    changes = [script for one in left for script in (one.found.command, one.clean_up)]
    every, of = etcd.members(found[0], {}), found[0].machine("n1")
    restored = etcd_snapshot.restore("3.7.3", "/s.db", "/data", every[0], every, datetime(2026, 1, 31, tzinfo=UTC))
    asked = [one(of).command for one in (node.is_gone, node.is_told, node.ready_since)]
    shell(findings([*changes, restored, *asked], tmp_path))


def test_the_scripts_that_are_files_are_sound(tmp_path: Path) -> None:
    """Whatever in files/ and lab/ says that sh runs it."""
    every = [path for directory in ("files", "lab") for path in (ROOT / directory).rglob("*") if path.is_file()]
    scripts = [path.read_text() for path in every if path.read_bytes().startswith((b"#!/bin/sh\n", b"#!/bin/bash\n"))]
    assert len(scripts) >= 5
    shell(findings(scripts, tmp_path))


# The tests above are worth nothing unless these fail.


@pytest.mark.parametrize(
    ("script", "finding"),
    [
        ("if true; then echo", "sh -n"),
        ("for path in $(ls); do rm $path; done", "SC2086"),
        ("[[ a == b ]]", "SC3010"),
        ("timeout 15 sh -c 'rm $1'; echo", "SC2086"),
        ("ask etcd 'a b' 'rm $1'", "SC2086"),
        ("sh -ec 'until sh -c '\"'\"'rm $1'\"'\"' 2>&1; do :; done'", "SC2086"),
    ],
)
def test_what_is_wrong_is_found_in_inner_scripts_too(script: str, finding: str, tmp_path: Path) -> None:
    assert any(line.startswith(finding) for line in findings([script], tmp_path))


def test_an_inner_script_is_read_as_the_shell_reads_it() -> None:
    script = """x=$(sh -c 'echo '"'"'a'"'"' "$b"' 2>&1); sh -c "echo \\"c\\""; sh -ec "$script" """
    assert list(inner(script)) == ["""echo 'a' "$b\"""", 'echo "c"']
