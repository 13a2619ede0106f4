"""What only the lab needs: settings for `--group-data`, and an inventory for pyinfra's Docker connector."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from pprint import pformat
from runpy import run_path

from kubeinfra.cluster.cluster import GROUPS, Cluster, Machine
from lab import keys
from lab.names import LAB, container

GROUP_DATA = LAB / "group_data"
_FILE = GROUP_DATA / "all.py"
DOCKER_INVENTORY = LAB / "docker_inventory.py"
RELEASE = "kubernetes_version"
_HEADER = "# Written by `python -m lab up`: what only the lab needs. Changes here do not last.\n\n"


def lab_settings(
    cluster: Cluster, artifacts_dir: Path, own_builds: Mapping[str, str], restricted: bool
) -> dict[str, object]:
    """
    Settings for machines that are containers on one disk and one kernel.

    + cluster: as inventory and group_data describe it without them
    + artifacts_dir, own_builds: what was built instead of downloaded, path below it -> "sha256:<hex>";
      nothing where upstream can be reached, and then the versions are the release's own
    + restricted: whether the machines lack CAP_SYS_RESOURCE
    """
    settings: dict[str, object] = {
        # Its CAs are not those of a cluster of yours that is deployed from the same directory.
        "cluster_name": "lab",
        # Packages that the image has; a repository of Docker's is not always within reach.
        "docker_source": "distribution",
        # The machines share the real disk: kubelet's own limits would stop everything when it is 85 % full.
        "kubelet_extra_config": {
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
        },
        # That the guide's release is past it, nobody who tries the lab need read each time.
        "preflight_ignore": ["end-of-life"],
        # Nobody answers for names outside the lab.
        "dns_upstreams": [],
        # nf_conntrack_max can be written in the first network namespace only; kube-proxy exits if it tries.
        "kube_proxy_conntrack": {"maxPerCore": 0, "min": 0},
        "ssh_known_hosts_file": str(keys.KNOWN_HOSTS.resolve()),
    }
    if own_builds:
        settings["artifacts_dir"] = str(artifacts_dir.resolve())
        settings["own_builds"] = dict(own_builds)
        settings["etcd_version"] = built_versions("etcd", own_builds)[0]
    if cluster.container_runtime == "containerd":
        settings |= _containerd(cluster, own_builds, restricted)
    return settings


def built_versions(name: str, own_builds: Iterable[str]) -> list[str]:
    """The versions of an artifact among paths such as "etcd/3.4.23/etcd-v3.4.23-linux-amd64.tar.gz"."""
    return [path.split("/")[1] for path in own_builds if path.startswith(f"{name}/")]


def _containerd(cluster: Cluster, own_builds: Mapping[str, str], restricted: bool) -> dict[str, object]:
    settings: dict[str, object] = {}
    if own_builds and not built_versions("crictl", own_builds):
        settings["crictl"] = False
    if restricted:
        # Without the capability nobody can have a lower oom_score_adj than containerd itself, such as a sandbox has.
        is_old = cluster.containerd_version.startswith("1.")
        cri = "io.containerd.grpc.v1.cri" if is_old else "io.containerd.cri.v1.runtime"
        settings["containerd_extra_config"] = {"plugins": {cri: {"restrict_oom_score_adj": True}}}
    return settings


def assignments(values: Mapping[str, object]) -> str:
    """As a Python file, in the order given."""
    return _HEADER + "".join(f"{name} = {pformat(value, width=100)}\n" for name, value in values.items())


def docker_inventory(machines: Sequence[Machine], containers: Collection[Machine]) -> str:
    """The same machines in the same order and groups; containers reached with `docker exec` in place of ssh."""
    as_host = {machine: _docker_host(machine) if machine in containers else _ssh_host(machine) for machine in machines}
    hosts: dict[str, object] = {"all": list(as_host.values())}
    for group in GROUPS:
        if members := [name for machine, (name, _) in as_host.items() if group in machine.groups]:
            hosts[group] = members
    return assignments(hosts)


def write(settings: Mapping[str, object], machines: Sequence[Machine], containers: Collection[Machine]) -> None:
    GROUP_DATA.mkdir(parents=True, exist_ok=True)
    _FILE.write_text(assignments(dict(sorted(settings.items()))))
    DOCKER_INVENTORY.write_text(docker_inventory(machines, containers))


def release_asked_for() -> dict[str, object]:
    """The release that the machines which are there were made for, as a setting, if the lab was told of one."""
    values = run_path(str(_FILE)) if _FILE.exists() else {}
    return {name: value for name, value in values.items() if name == RELEASE}


def forget() -> None:
    """Nothing holds any more once the machines are gone."""
    _FILE.unlink(missing_ok=True)


def _docker_host(machine: Machine) -> tuple[str, dict[str, str]]:
    name = container(machine.name)
    data = {"docker_identifier": name, "hostname": machine.hostname, "address": str(machine.address)}
    return f"@docker/{name}", data


def _ssh_host(machine: Machine) -> tuple[str, dict[str, str]]:
    return machine.name, {"ssh_hostname": str(machine.address), "hostname": machine.hostname}
