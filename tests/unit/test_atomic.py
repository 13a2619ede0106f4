"""Files and directories are whole or as before, at whatever moment their writer dies; locks keep others out."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from artifact_files import problem
from killing import killed_after

from kubeinfra.atomic import hold_lock, locked, part_of, whole_directory, whole_file, whole_path, write_whole

HOLD = """
import sys
from pathlib import Path
from kubeinfra.atomic import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("wanted", [0o600, 0o644, 0o755])
@pytest.mark.parametrize("umask", [0, 0o077])
def test_the_mode_is_the_one_that_was_asked_for(tmp_path: Path, wanted: int, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "below" / "file", "text", wanted)
        with whole_directory(tmp_path / "directory", wanted):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "below" / "file").read_text() == "text"
    assert mode(tmp_path / "below" / "file") == mode(tmp_path / "directory") == wanted


def test_a_file_is_private_while_it_is_written(tmp_path: Path) -> None:
    with whole_file(tmp_path / "file", 0o600) as file:
        assert mode(part_of(tmp_path / "file")) == 0o600
        file.write(b"x")
        assert not (tmp_path / "file").exists()


def test_a_program_that_replaces_the_file_does_not_change_its_mode(tmp_path: Path) -> None:
    with whole_path(tmp_path / "file", 0o600) as part:
        part.unlink()
        part.write_text("by another program")
        part.chmod(0o666)
    assert (mode(tmp_path / "file"), (tmp_path / "file").read_text()) == (0o600, "by another program")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_older_one_and_no_trace(tmp_path: Path, error: type[BaseException]) -> None:
    write_whole(tmp_path / "file", "old")
    with pytest.raises(error), whole_file(tmp_path / "file") as file:
        file.write(b"half")
        raise error
    with pytest.raises(error), whole_directory(tmp_path / "directory") as part:
        write_whole(part / "one", "half")
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("syncs", range(3))
def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path, syncs: int) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")
    survived = killed_after(syncs, lambda: write_whole(path, "new"))
    assert path.read_text() == ("old" if syncs == 0 else "new")
    assert survived == (syncs == 2)
    write_whole(path, "newer")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_what_stands_in_the_way_of_a_new_file_goes(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("kept")
    part_of(tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    part_of(tmp_path / "b").mkdir()
    (part_of(tmp_path / "b") / "x").write_text("")
    part_of(tmp_path / "c").write_text("")
    write_whole(tmp_path / "a", "new")
    write_whole(tmp_path / "b", "new")
    with whole_directory(tmp_path / "c"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c", "elsewhere"]
    assert (tmp_path / "elsewhere").read_text() == "kept"


def test_a_directory_does_not_take_the_place_of_another(tmp_path: Path) -> None:
    write_whole(tmp_path / "directory" / "file", "old")

    def again() -> None:
        with whole_directory(tmp_path / "directory"):
            pass

    assert "cannot be written (directory not empty)" in problem(again)
    assert [path.name for path in tmp_path.iterdir()] == ["directory"]


@pytest.mark.parametrize("name", ["", "lock", "new/lock"])
def test_a_lock_keeps_other_processes_out_until_its_holder_dies(tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / name)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError):
            hold_lock(tmp_path / name)
        waited = []

        def busy() -> None:
            waited.append("busy")
            holder.kill()

        with locked(tmp_path / name, busy), pytest.raises(BlockingIOError):
            hold_lock(tmp_path / name)
    assert waited == ["busy"]
    os.close(hold_lock(tmp_path / name))


def test_an_error_for_a_busy_lock_ends_the_waiting(tmp_path: Path) -> None:
    def refuse() -> None:
        raise ValueError

    with locked(tmp_path), pytest.raises(ValueError), locked(tmp_path, refuse):
        pass
