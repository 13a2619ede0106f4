"""The containerd that a machine has: how it is seen, what stands in the way of ours, which images it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cluster_samples import SEEN, cluster
from local_machine import answer, program

from kubeinfra.checks.machine import container_runtime
from kubeinfra.components.runtime.containerd import PROGRAM, Containerd, full_name
from kubeinfra.components.runtime.containerd_hosts import MARK
from kubeinfra.facts.images import ImageIds
from kubeinfra.facts.machine import MachineFacts
from kubeinfra.machine.state import InstalledRuntime

NEWEST = "1.37.2"

OURS = InstalledRuntime((2, 4, 2), PROGRAM)
DEBIANS = InstalledRuntime((1, 6, 20), "/usr/bin/containerd", "containerd")
DOCKERS = InstalledRuntime((1, 7, 27), "/usr/bin/containerd", "containerd.io")
DOCKER = InstalledRuntime((20, 10, 24), "/usr/bin/dockerd", "docker.io")

STATES: dict[str, tuple[dict[str, InstalledRuntime], str, str, str]] = {
    "nothing": ({}, NEWEST, "upstream", ""),
    "ours": ({"containerd": replace(OURS, used=True)}, NEWEST, "upstream", ""),
    "ours next to a Docker": ({"containerd": OURS, "docker": replace(DOCKER, used=True)}, NEWEST, "upstream", ""),
    "a package that nobody uses": ({"containerd": DEBIANS, "docker": DOCKER}, NEWEST, "upstream", ""),
    "a package with containers": (
        {"containerd": replace(DEBIANS, used=True)},
        NEWEST,
        "upstream",
        "containerd 1.6 of package containerd has containers; and the deploy's own would take its place, as the unit "
        "has the same name: remove it if nobody needs them, or let Kubernetes use it too: containerd_source = "
        '"distribution"',
    ),
    "a Docker with containers": (
        {"containerd": DOCKERS, "docker": replace(DOCKER, used=True)},
        NEWEST,
        "upstream",
        "containerd 1.7 of package containerd.io has containers for Docker; and the deploy's own would take its place, "
        "as the unit has the same name: remove it if nobody needs them, or let Kubernetes use it too: "
        'containerd_source = "docker-ce"',
    ),
    "a package of another release": (
        {"containerd": DEBIANS},
        NEWEST,
        "distribution",
        "containerd 1.6 is installed (containerd); Kubernetes 1.37.2 goes with 2.2 to below 3.0: update it, or remove "
        "it and take containerd_source out of group_data/all.py: upstream's then comes",
    ),
    "a package that fits": ({"containerd": replace(DEBIANS, used=True)}, "1.30.14", "distribution", ""),
    "ours where a package is wanted": (
        {"containerd": OURS},
        NEWEST,
        "docker-ce",
        "containerd 2.4 of containerd_source upstream runs its pods, containerd_source is docker-ce; set it to "
        '"upstream" again; or drain the node, stop kubelet and containerd, remove '
        "/etc/systemd/system/containerd.service and /opt/containerd/bin, and run again",
    ),
}


@pytest.mark.parametrize("case", STATES)
def test_what_stands_in_its_way_is_told_before(case: str) -> None:
    runtimes, version, source, sentence = STATES[case]
    found = cluster(kubernetes_version=version, containerd_source=source)
    told = container_runtime(found, found.machine("n1"), replace(SEEN, runtimes=runtimes))
    assert [one.text() for one in told] == ([sentence] if sentence else [])
    assert list(container_runtime(found, found.machine("m1"), replace(SEEN, runtimes=runtimes))) == []


@pytest.mark.parametrize(
    ("distribution", "release", "version", "sentence"),
    [
        ("debian", "12", "1.30.14", ""),
        ("debian", "12", NEWEST, "Debian 12 has containerd 1.6; Kubernetes 1.37.2 goes with 2.2 to below 3.0: take "),
        ("ubuntu", "24.04", NEWEST, ""),  # its updates bring newer ones: asked again once it is installed
        ("rocky", "9.4", "1.30.14", "Rocky Linux has no containerd of its own; take containerd_source out"),
    ],
)
def test_a_distribution_without_one_that_fits_is_told_before(
    distribution: str, release: str, version: str, sentence: str
) -> None:
    found = cluster(kubernetes_version=version, containerd_source="distribution")
    seen = replace(SEEN, distribution=distribution, software=replace(SEEN.software, version=release))
    told = [one.text() for one in container_runtime(found, found.machine("n1"), seen)]
    assert len(told) == bool(sentence)
    assert all(one.startswith(sentence) for one in told)


@pytest.mark.parametrize(("has", "wanted"), [("docker", "containerd"), ("containerd", "docker")])
def test_a_node_keeps_the_runtime_that_its_pods_are_on(has: str, wanted: str) -> None:
    found = cluster(kubernetes_version="1.23.17", container_runtime=wanted)
    told = [one.text() for one in container_runtime(found, found.machine("n1"), replace(SEEN, kubelet_runtime=has))]
    assert len(told) == 1
    assert told[0].startswith(f"its kubelet runs its pods with {has}; and this cluster's container_runtime is {wanted}")
    same = replace(SEEN, kubelet_runtime=wanted)
    assert list(container_runtime(found, found.machine("n1"), same)) == []


def test_a_disk_without_ftype_is_refused_unless_the_data_are_elsewhere() -> None:
    seen = replace(SEEN, software=replace(SEEN.software, without_ftype=("/var/lib/containerd",)))
    found = cluster(kubernetes_version=NEWEST)
    assert [one.text() for one in container_runtime(found, found.machine("n1"), seen)] == [
        "the disk of /var/lib/containerd is an xfs that was made with ftype=0, on which containerd's overlayfs cannot "
        "work; mount ext4, or an xfs made with ftype=1, at that directory, or name one on such a disk, "
        'containerd_extra_config = {"root": "/data/containerd"}'
    ]
    elsewhere = cluster(kubernetes_version=NEWEST, containerd_extra_config={"root": "/data/containerd"})
    assert list(container_runtime(elsewhere, found.machine("n1"), seen)) == []
    dockers = replace(SEEN, software=replace(SEEN.software, without_ftype=("/var/lib/docker",)))
    assert list(container_runtime(found, found.machine("n1"), dockers)) == [], "no data of containerd are there"


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3", (1, 6, 20)),
        ("containerd github.com/containerd/containerd/v2 v2.4.2 abcdef", (2, 4, 2)),
        ("containerd containerd.io 1.7.27 05044ec0a9a7", (1, 7, 27)),
    ],
)
@pytest.mark.parametrize("used", [True, False])
def test_one_that_is_installed_is_seen(says: str, version: tuple[int, ...], used: bool, tmp_path: Path) -> None:
    programs = program(tmp_path / "programs", "containerd", f"echo {says}")
    program(programs, "dpkg-query", "echo containerd.io: $2")
    if used:
        (tmp_path / "run/io.containerd.runtime.v2.task/k8s.io/abc").mkdir(parents=True)
    own, theirs = (tmp_path / f"certs.d/{name}/hosts.toml" for name in ("a.io", "b.io"))
    for path, text in ((own, f"{MARK}[host]\n"), (theirs, "[host]\n")):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    there = {"/run/containerd/": "run/", "/etc/systemd/system/containerd": "no", "/etc/containerd/": ""}
    instead = {path: f"{tmp_path}/{name}" for path, name in there.items()}
    found = answer(MachineFacts(), programs=programs, instead=instead).runtimes["containerd"]
    wanted = InstalledRuntime(version, f"{programs}/containerd", "containerd.io", used=used, mirrors=(str(own),))
    assert found == wanted


def test_ours_is_told_by_its_unit_and_the_kubelets_runtime_by_its(tmp_path: Path) -> None:
    programs = program(tmp_path / "programs", "containerd", "echo containerd x v2.4.2")
    program(programs, "dpkg-query", "exit 1")
    ours = f"{programs}/containerd"
    (tmp_path / "containerd.service").write_text(f"[Service]\nExecStart={ours} --config=x\n")
    (tmp_path / "kubelet.service").write_text("[Unit]\nAfter=network-online.target\nAfter=containerd.service\n")
    found = answer(MachineFacts(), programs=programs, instead={PROGRAM: ours, "/etc/systemd/system": str(tmp_path)})
    assert found.runtimes["containerd"].path == ours
    assert found.kubelet_runtime == "containerd"
    bare = answer(MachineFacts(), programs=programs, instead={"/etc/systemd/system": str(tmp_path / "no")})
    assert bare.kubelet_runtime == ""


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("pause:3.2", "docker.io/library/pause:3.2"),
        ("lab/pause:3.2", "docker.io/lab/pause:3.2"),
        ("registry.k8s.io/pause:3.2", "registry.k8s.io/pause:3.2"),
        ("localhost/pause:3.2", "localhost/pause:3.2"),
        ("m:5000/pause:3.2", "m:5000/pause:3.2"),
    ],
)
def test_containerd_has_images_by_their_full_name(reference: str, name: str) -> None:
    assert full_name(reference) == name


# What `ctr images ls` of 2.4.2 and of 1.6.20 prints, after the CRI plugin has seen the image.
IDENTITY, TARGET = f"sha256:{'5' * 64}", f"sha256:{'4' * 64}"
OTHERS, OTHER_TARGET = f"sha256:{'7' * 64}", f"sha256:{'6' * 64}"
_MANAGED = "io.cri-containerd.image=managed"
LISTED = f"""\
REF TYPE DIGEST SIZE PLATFORMS LABELS
{OTHERS} application/vnd.oci.image.index.v1+json {OTHER_TARGET} 1.2 MiB linux/amd64 -
docker.io/lab/own:1 application/vnd.oci.image.index.v1+json {OTHER_TARGET} 1.2 MiB linux/amd64 -
registry.k8s.io/pause:3.2 application/vnd.oci.image.manifest.v1+json {TARGET} 680.8 KiB linux/amd64 {_MANAGED}
{IDENTITY} application/vnd.oci.image.manifest.v1+json {TARGET} 680.8 KiB linux/amd64 {_MANAGED}"""


def asked(tmp_path: Path, script: str) -> dict[str, str]:
    programs = program(tmp_path / "programs", "ctr", script)
    question = Containerd().image_ids(["registry.k8s.io/pause:3.2", "lab/own:1", "quay.io/none:1"])
    found: dict[str, str] = answer(ImageIds(), asked=question.replace("PATH=", f"PATH={programs}:", 1))
    return found


def test_an_image_is_known_by_dockers_id(tmp_path: Path) -> None:
    (tmp_path / "listed").write_text(LISTED)
    script = f"echo DEPRECATION: cgroup v1 >&2; [ \"$*\" = '--namespace k8s.io images ls' ] && cat {tmp_path}/listed"
    assert asked(tmp_path, script) == {"registry.k8s.io/pause:3.2": IDENTITY, "lab/own:1": OTHERS}


@pytest.mark.parametrize("script", ["exit 1", "echo REF TYPE DIGEST"], ids=["it does not run", "it has none"])
def test_without_an_answer_it_has_no_image(script: str, tmp_path: Path) -> None:
    assert asked(tmp_path, script) == {}
