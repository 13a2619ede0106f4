"""A unit that does not start with a new file runs again with the one that it had before."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_machine import program, shell

from kubeinfra.components.base import Unit
from kubeinfra.machine.state import PathState
from kubeinfra.machine.wanted import SCRIPT, Edit, before, compare, script_input
from kubeinfra.operations.units import Step, _all

UNIT = Unit("docker.service")
STEPS = [Step(UNIT.name, "restart", f"systemctl restart {UNIT.name}", ("changed",))]


def systemd(directory: Path, file: Path, active: bool = True) -> Path:
    """A systemctl whose unit starts only if its file says so; what it was told is noted."""
    directory.mkdir()
    program(directory, "journalctl", "echo 'dockerd: invalid mirror'")
    return program(
        directory,
        "systemctl",
        f"""echo "$*" >>{directory}/told
case $* in
*is-active*) {"exit 0" if active else "exit 3"} ;;
restart*) grep -q right {file} ;;
esac""",
    )


def write(file: Path, text: str, programs: Path) -> None:
    edit = Edit(str(file), lambda _: text, keep_for=UNIT.name)
    found = {str(file): PathState("file", "644", "root:root", "", "", file.read_text())} if file.exists() else {}
    ran = shell(SCRIPT, stdin=script_input(compare([edit], found)), programs=programs)
    assert ran.returncode == 0, ran.stderr
    assert file.read_text() == text


def restart(file: Path, programs: Path) -> tuple[int, str]:
    ran = shell(_all(STEPS, [UNIT], str(file)).get_raw_value(), programs=programs)
    return ran.returncode, ran.stderr


def test_the_old_file_is_back_and_the_unit_runs(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text("right")
    programs = systemd(tmp_path / "programs", file)
    write(file, "wrong", programs)
    code, said = restart(file, programs)
    assert code == 1, "the run ends here all the same"
    assert "dockerd: invalid mirror" in said
    assert f"docker.service: runs again, with {file} as it was before" in said
    assert file.read_text() == "right"
    assert not Path(before(str(file))).exists()
    assert (programs / "told").read_text().splitlines()[-1] == "restart docker.service"


def test_a_file_that_is_right_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text("right")
    programs = systemd(tmp_path / "programs", file)
    write(file, "right too", programs)
    assert restart(file, programs)[0] == 0
    assert file.read_text() == "right too"
    assert not Path(before(str(file))).exists()


def test_a_run_that_is_cut_off_between_both_can_still_go_back(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text("right")
    programs = systemd(tmp_path / "programs", file)
    write(file, "wrong", programs)
    code, _ = restart(file, programs)  # of the next run, which has nothing to write
    assert (code, file.read_text()) == (1, "right")


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("text", [None, "wrong before"])
def test_there_is_nothing_to_go_back_to(tmp_path: Path, active: bool, text: str | None) -> None:
    """Without an old file; with one that nothing runs from; or with one that is no better."""
    file = tmp_path / "daemon.json"
    if text:
        file.write_text(text)
    programs = systemd(tmp_path / "programs", file, active)
    write(file, "wrong", programs)
    assert Path(before(str(file))).exists() is (active and text is not None)
    code, said = restart(file, programs)
    assert code == 1
    assert "runs again" not in said
