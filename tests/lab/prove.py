"""
`make prove MINOR="1.29 1.30"`: each of these minors is deployed to two bare machines, verified, and deployed once more
without a change; when, how, and how long it took becomes an entry of kubeinfra/releases/proved.toml.

pytest takes this file only when it is named: no part of `make test`.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from laboratory import PROJECT, Lab, keeps_lab
from observe import assert_finished

from kubeinfra.atomic import write_whole
from kubeinfra.releases.catalogue import NEWEST, Proof, release
from kubeinfra.releases.versions import numbers
from lab.build.stack import as_module

MINORS = os.environ.get("MINOR", "").split()
PROVED = PROJECT / "kubeinfra/releases/proved.toml"
ENTRY = "[[proved]]\n"
INVENTORY = """\
machines = [
    ("master01", {"ssh_hostname": "192.168.83.10"}),
    ("node01", {"ssh_hostname": "192.168.83.11"}),
]
master = etcd = ["master01"]
node = ["master01", "node01"]
lb = []
"""
# Seconds. Where they are over, something hangs: a minor that was not built before takes the longest.
MAKING, RUN = 3 * 3600, 1200


def laboratory(minor: str) -> Lab:
    """A lab of this minor's own; of its newest release, or the nearest that can be built."""
    assert minor in NEWEST, f"no such minor: {minor}; there are {', '.join(NEWEST)}"
    version = as_module(NEWEST[minor])
    settings = f'kubernetes_version = "{version}"\n'
    return Lab(version, INVENTORY, settings, side_by_side=f"prove-{minor.replace('.', '-')}")


def described(made: Mapping[str, Any], version: str, runtime: str, mode: str) -> str:
    """
    How it was proved, in words.

    + made: what `lab up` has written as settings
    + runtime: as a Node tells it, "containerd://1.7.35"; + mode: kube-proxy's
    """
    etcd = made.get("etcd_version") or release(version).etcd
    source = "built from Go modules" if made.get("own_builds") else "upstream's binaries"
    return f"make prove, in containers, with {runtime.replace('://', ' ')}, etcd {etcd} and {mode}, {source}"


def recorded(text: str, proof: Proof) -> str:
    """proved.toml with this entry, in place of an older one of the same release that has figures as well."""
    entries = [Proof(**table) for table in tomllib.loads(text)["proved"]]
    others = [one for one in entries if one.machines is None or one.release != proof.release]
    ordered = sorted([*others, proof], key=lambda one: (numbers(one.release), one.machines is not None))
    return text[: text.index(ENTRY)] + "\n".join(ENTRY + tomli_w.dumps(_table(one)) for one in ordered)


def _table(proof: Proof) -> dict[str, Any]:
    return {name: value for name, value in asdict(proof).items() if value is not None}


def proved(lab: Lab, version: str) -> Proof:
    """Deploy to the machines, which are bare, and once more."""
    first = lab.deploy(timeout=RUN)  # its last part is the check of traffic
    second = assert_finished(lab, first, timeout=RUN)
    running = {one["status"]["nodeInfo"]["kubeletVersion"] for one in lab.get("nodes")["items"]}
    assert running == {f"v{version}"}, f"another release than {version} runs: {running}"
    runtime = lab.get("nodes")["items"][0]["status"]["nodeInfo"]["containerRuntimeVersion"]
    mode = lab.run(lab.nodes[0], "curl -sS http://127.0.0.1:10249/proxyMode")
    made = runpy.run_path(str(lab.directory / ".lab/group_data/all.py"))
    how = described(made, version, runtime, mode)
    return Proof(version, date.today(), how, len(lab.machines), round(first.seconds), round(second.seconds))


def write(path: Path, proof: Proof) -> None:
    """To the record, and to the pages that are made from it."""
    write_whole(path, recorded(path.read_text(encoding="utf-8"), proof))
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, "-m", "docs.generate"], cwd=PROJECT, env=environment, check=True)


@pytest.mark.timeout(MAKING + 4 * RUN)
@pytest.mark.parametrize("minor", MINORS)
def test_it_is_deployed_verified_and_then_as_wanted(minor: str, figures: list[str]) -> None:
    lab = laboratory(minor)
    version = lab.directory.name
    try:
        lab.up(timeout=MAKING)
        proof = proved(lab, version)
    finally:
        if not keeps_lab():
            lab.down()
    write(PROVED, proof)
    figures.append(f"{version}: deploy {proof.first_deploy} s, second run {proof.second_run} s, {proof.how}")
