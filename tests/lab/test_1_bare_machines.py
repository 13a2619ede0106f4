"""Before the first deploy: a plan, and everything that must end with one clear line, change nothing at all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from invocation import Invocation
from laboratory import Lab
from observe import controller_tree, differences, machine_trees

CACHE = Path("~/.cache/kubeinfra").expanduser()
# What labs keep there, of which another may be at work.
LABS_OWN = ("engine", "lab-image", "lab-vm", "lab-vm-machines")


def everything(lab: Lab) -> dict[str, str]:
    cached = [path for path in CACHE.iterdir() if path.name not in LABS_OWN]
    return machine_trees(lab) | controller_tree(lab.directory, *cached)


@pytest.fixture(scope="module")
def untouched(lab: Lab) -> dict[str, str]:
    if lab.state.exists():
        pytest.skip("the lab's machines are in use already")
    return everything(lab)


def assert_nothing_changed(lab: Lab, untouched: dict[str, str]) -> None:
    changed = differences(untouched, everything(lab))
    assert not changed, "machines and controller should be as before:\n" + "\n".join(changed[:30])


def refusal(done: Invocation) -> str:
    """What a refused run says, which must be a message for the user: no traceback."""
    assert done.code != 0, f"{done} should have failed:\n{done.text}"
    assert "Traceback" not in done.text and "internal exception" not in done.text, (
        f"{done} should have ended with a message, not a traceback:\n{done.text}"
    )
    return done.text


@pytest.fixture
def nowhere(lab: Lab, tmp_path: Path) -> list[str]:
    """Settings with which no release can be had from anywhere."""
    (tmp_path / "artifacts").mkdir()
    places = {"artifacts_dir": tmp_path / "artifacts", "cache_dir": tmp_path / "cache"}
    settings = {**places, "artifact_mirror": "http://127.0.0.1:9"}
    return [word for key, value in settings.items() for word in ("--data", f"{key}={value}")]


def test_a_plan_tells_all_and_changes_nothing(lab: Lab, untouched: dict[str, str]) -> None:
    plan = lab.pyinfra("deploy.py", plan=True)
    assert plan.code == 0, f"a plan on bare machines should succeed:\n{plan.text}"
    for sentence in (
        "create CA kubernetes in ",
        "issue /opt/etcd/ssl/server.pem: missing",
        "put /opt/kubernetes/bin/kubelet 1.20",
        "+net.ipv4.ip_forward = 1",
        "write /opt/kubernetes/cfg/token.csv (secret)",
        "start etcd.service",
        "start kubelet.service",
    ):
        assert sentence in plan.text, f"the plan should say: {sentence}\n{plan.text}"
    assert_nothing_changed(lab, untouched)


def test_a_plan_with_an_empty_cache_fetches_nothing(lab: Lab, untouched: dict[str, str], tmp_path: Path) -> None:
    settings = ("--data", f"cache_dir={tmp_path}/cache", "--data", "artifact_mirror=http://127.0.0.1:9")
    plan = lab.pyinfra("deploy.py", *settings, plan=True)
    assert plan.code == 0, f"a plan needs no release at hand:\n{plan.text}"
    assert re.search(r"fetch kubernetes 1\.20\S* ", plan.text), f"it should say what a run would fetch:\n{plan.text}"
    assert not (tmp_path / "cache").exists(), "a plan should not make a cache"
    assert_nothing_changed(lab, untouched)


def test_a_release_that_cannot_be_had_is_named_with_the_place_for_it(
    lab: Lab, untouched: dict[str, str], nowhere: list[str], tmp_path: Path
) -> None:
    said = refusal(lab.pyinfra("deploy.py", *nowhere))
    lines = re.findall(
        r"kubernetes 1\.20\S+ \(\w+, sha\d+:[0-9a-f]+\) cannot be had: .* put the file at (\S+?),?(?:\s|$)", said
    )
    assert lines, f"file, version, digest and place should be in one line:\n{said}"
    assert_nothing_changed(lab, untouched)

    path = Path(lines[0])
    assert path.is_relative_to(tmp_path / "artifacts"), f"the place should be in artifacts_dir: {path}"
    path.parent.mkdir(parents=True)
    path.write_text("not this release")
    said = refusal(lab.pyinfra("deploy.py", *nowhere))
    assert re.search(rf"{path}: has (sha\d+):[0-9a-f]+, wanted \1:[0-9a-f]+", said), (
        f"a file with another digest should be named with both digests:\n{said}"
    )
    assert_nothing_changed(lab, untouched)


def test_an_artifacts_dir_that_does_not_exist_is_named(lab: Lab, untouched: dict[str, str], tmp_path: Path) -> None:
    said = refusal(lab.pyinfra("deploy.py", "--data", f"artifacts_dir={tmp_path}/nowhere"))
    assert f"artifacts_dir {tmp_path}/nowhere is not a directory" in said, f"it should be named:\n{said}"
    assert_nothing_changed(lab, untouched)


def test_a_machine_out_of_reach_is_named_within_the_time_out(lab: Lab, untouched: dict[str, str]) -> None:
    absent = lab.nodes[-1]
    address = lab.address(absent).rpartition(".")[0] + ".250"
    inventory = lab.directory / "unreachable.py"
    inventory.write_text((lab.directory / "inventory.py").read_text().replace(lab.address(absent), address))
    try:
        done = lab.pyinfra("deploy.py", inventory=inventory.name)
        assert f"[{absent}]" in refusal(done) and address in done.text, f"{absent} should be named:\n{done.text}"
        assert done.seconds < 30, f"it should have been noticed within the connect time-out, not {done.seconds:.0f} s"
    finally:
        inventory.unlink()
    assert_nothing_changed(lab, untouched)


def test_a_user_without_root_is_told_what_to_do(lab: Lab, untouched: dict[str, str]) -> None:
    said = refusal(lab.pyinfra("deploy.py", user="operator"))
    assert re.search(r"\w+: commands run as user \d+, root is needed; set _sudo = True", said), said
    assert_nothing_changed(lab, untouched)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("/etc/sudoers.d/operator", "sudo asks for a password, and there is no terminal"),
        ("/usr/bin/sudo", "commands do not run there as they should, the reason is above"),
    ],
)
def test_sudo_that_does_not_work_is_told(lab: Lab, untouched: dict[str, str], file: str, reason: str) -> None:
    machine = lab.nodes[-1]
    lab.run(machine, f"mv {file} /var/tmp/away")
    try:
        said = refusal(lab.pyinfra("deploy.py", "--sudo", user="operator"))
    finally:
        lab.run(machine, f"mv /var/tmp/away {file}")
    assert f"{machine}: {reason}" in said, f"{machine} should be named, with the reason:\n{said}"
    assert_nothing_changed(lab, untouched)


@pytest.mark.parametrize(
    ("task", "missing"),
    [
        ("control_plane", "run tasks/etcd.py first"),
        ("load_balancer", "run tasks/control_plane.py first"),
        ("node", "run tasks/control_plane.py first"),
        ("network", "run tasks/control_plane.py first"),
        ("addons", "run tasks/control_plane.py first"),
        ("verify", "run tasks/control_plane.py first"),
    ],
)
def test_a_task_that_comes_too_early_says_what_is_missing(
    lab: Lab, untouched: dict[str, str], task: str, missing: str
) -> None:
    said = refusal(lab.pyinfra(f"tasks/{task}.py"))
    assert any(missing in line for line in said.splitlines()), f"one line should say: {missing}\n{said}"
    assert_nothing_changed(lab, untouched)
