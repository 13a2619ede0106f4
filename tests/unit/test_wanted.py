"""compare() says what must change and nothing else, and the shell script carries out its instructions."""

from __future__ import annotations

import os
import stat
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_machine import answer, needs_root, program, shell

from kubeinfra.facts.files import PathStates
from kubeinfra.machine.wanted import (
    SCRIPT,
    Change,
    Directory,
    Edit,
    File,
    Link,
    NoFile,
    PathState,
    Wanted,
    compare,
    paths_of,
    script_input,
    texts_of,
)

ROOT = "root:root"
SECRET = "a-token-nobody-may-see"


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def file(text: str, mode: str = "644", owner: str = ROOT, shown: bool = True) -> PathState:
    return PathState("file", mode, owner, digest(text), "", text if shown else None)


def directory(mode: str = "755", owner: str = ROOT) -> PathState:
    return PathState("directory", mode, owner)


def link(target: str) -> PathState:
    return PathState("link", "777", ROOT, "", target)


def sentences(wanted: Wanted, found: PathState | None, others: Mapping[str, PathState] | None = None) -> list[str]:
    every = {**(others or {}), **({wanted.path: found} if found else {})}
    return [change.sentence for change in compare([wanted], every)]


AS_WANTED: list[tuple[str, Wanted, PathState | None]] = [
    ("a directory", Directory("/d", "700"), directory("700")),
    ("a link to a directory", Directory("/d", "700"), PathState("link", "700", ROOT, "", "/big/d")),
    ("a link", Link("/l", "/opt/x"), link("/opt/x")),
    ("something else where a link yields", Link("/l", "/opt/x", keep_existing=True), file("mine")),
    ("a file", File("/f", "text\n"), file("text\n")),
    ("a secret", File("/f", SECRET, "600", secret=True), file(SECRET, "600", shown=False)),
    ("an edit with nothing to edit", Edit("/e", lambda text: text), file("theirs\n")),
    ("an edit of a file that need not be", Edit("/e", lambda _: "x", create=False), None),
    ("an edit of a file with a mode of its own", Edit("/e", lambda text: text), file("theirs\n", "640", "root:adm")),
    ("a file that is not ours", NoFile("/f", "# ours\n"), file("# mine\n# ours\n")),
    ("no file where none should be", NoFile("/f", "# ours\n"), None),
    ("a directory where no file should be", NoFile("/f", "# ours\n"), directory()),
    ("a file whose text is not known yet", File("/f", None), file("from an earlier run")),
]


@pytest.mark.parametrize(("situation", "wanted", "found"), AS_WANTED, ids=[row[0] for row in AS_WANTED])
def test_nothing_changes_for(situation: str, wanted: Wanted, found: PathState | None) -> None:
    assert sentences(wanted, found) == []


CHANGES: list[tuple[Wanted, PathState | None, str]] = [
    (Directory("/d", "700"), None, "make directory /d"),
    (Directory("/d", "700"), directory("755"), "mode 755 root:root -> 700 root:root of directory /d"),
    (Directory("/d"), directory("755", "me:me"), "mode 755 me:me -> 755 root:root of directory /d"),
    (Link("/l", "/opt/x"), None, "link /l -> /opt/x"),
    (Link("/l", "/opt/x"), link("/opt/y"), "link /l -> /opt/x"),
    (Link("/l", "/opt/x"), file("a file"), "link /l -> /opt/x"),
    (File("/f", "new"), None, "write /f"),
    (File("/f", "new"), file("old"), "change /f"),
    (File("/f", "new"), link("/elsewhere"), "write /f"),
    (File("/f", "text", "600"), file("text", "644"), "mode 644 root:root -> 600 root:root of /f"),
    (File("/f", "text"), file("text", owner="etcd:etcd"), "mode 644 etcd:etcd -> 644 root:root of /f"),
    (File("/f", SECRET, "600", secret=True), None, "write /f (secret)"),
    (File("/f", SECRET, "600", secret=True), file("old", "600", shown=False), "change /f (secret)"),
    (File("/f", None), None, "write /f"),
    (Edit("/e", lambda text: f"{text}more\n"), file("some\n"), "change /e"),
    (Edit("/e", lambda text: f"{text}more\n"), None, "write /e"),
    (Edit("/e", lambda text: f"{text}more\n", secret=True), file("some\n"), "change /e (secret)"),
]


@pytest.mark.parametrize(("wanted", "found", "sentence"), CHANGES, ids=[row[2] for row in CHANGES])
def test_a_change_is_told_in_one_sentence(wanted: Wanted, found: PathState | None, sentence: str) -> None:
    assert sentences(wanted, found) == [sentence]


def test_a_file_is_left_alone_if_its_unless_path_exists() -> None:
    initial = File("/etcd.initial", "at birth\n", unless="/data/member")
    assert sentences(initial, None) == ["write /etcd.initial"]
    assert sentences(initial, None, {"/data/member": directory()}) == []
    assert paths_of([initial]) == ["/etcd.initial", "/data/member"]


def test_a_diff_shows_the_lines_around_and_no_others() -> None:
    old = "".join(f"line {number}\n" for number in range(9))
    (change,) = compare([File("/f", old.replace("line 4", "line four"))], {"/f": file(old)})
    assert change.diff == (
        "--- /f (now)",
        "+++ /f (wanted)",
        "@@ -3,5 +3,5 @@",
        " line 2",
        " line 3",
        "-line 4",
        "+line four",
        " line 5",
        " line 6",
    )


@pytest.mark.parametrize("found", [None, file("old secret", "600"), file(SECRET, "644")], ids=["new", "text", "mode"])
def test_a_secret_is_in_no_sentence_no_diff_and_in_no_text_that_is_asked_for(found: PathState | None) -> None:
    secret = File("/token", SECRET, "600", secret=True)
    (change,) = compare([secret], {"/token": found} if found else {})
    assert change.diff == ()
    assert SECRET not in change.sentence
    assert texts_of([secret]) == {}


def test_a_secret_edit_shows_neither_what_was_there_nor_what_will_be() -> None:
    (change,) = compare([Edit("/e", lambda text: f"{text}more\n", secret=True)], {"/e": file(f"{SECRET}\n")})
    assert (change.sentence, change.diff) == ("change /e (secret)", ())


def test_texts_are_read_only_if_they_may_be_shown() -> None:
    wanted: list[Wanted] = [
        File("/f", "text"),
        Edit("/e", str),
        File("/k", SECRET, secret=True),
        File("/u", None),
    ]
    assert texts_of(wanted) == {"/f": digest("text"), "/e": ""}


def test_an_edit_through_a_link_does_not_take_over_the_mode_of_the_link() -> None:
    (change,) = compare([Edit("/e", lambda _: "ours\n")], {"/e": PathState("link", "777", ROOT, "", "/t", "theirs\n")})
    assert change.instruction.split(" ")[:3] == ["file", "/e", "644"], "every user could write to it otherwise"


# The script, run by this machine's sh in a directory of the test.


def apply(changes: Sequence[Change]) -> CompletedProcess[str]:
    return shell(SCRIPT, stdin=script_input(changes))


def states(wanted: Sequence[Wanted]) -> dict[str, PathState]:
    found: dict[str, PathState] = answer(PathStates(), paths=paths_of(wanted), shown=texts_of(wanted))
    return found


def install(*wanted: Wanted) -> list[str]:
    """As the operation does; gives the sentences of the changes."""
    changes = compare(wanted, states(wanted))
    ran = apply(changes)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == ran.stderr == "", "nothing of a file's text may come back"
    return [change.sentence for change in changes]


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.lstat().st_mode):o}"


@needs_root
def test_a_second_comparison_finds_no_change(tmp_path: Path) -> None:
    wanted: list[Wanted] = [
        Directory(f"{tmp_path}/cfg", "700"),
        File(f"{tmp_path}/cfg/a", "text with 'quotes', $dollars, \\backslash\\n and ünicode\n"),
        File(f"{tmp_path}/cfg/empty", ""),
        File(f"{tmp_path}/cfg/no-end-of-line", "text", "755"),
        File(f"{tmp_path}/new/deeper/secret", SECRET, "600", secret=True),
        Link(f"{tmp_path}/links/a", f"{tmp_path}/cfg/a"),
        Edit(f"{tmp_path}/hosts", lambda text: text if "ours" in text else f"{text}ours\n", in_place=True),
    ]
    assert len(install(*wanted)) == len(wanted)
    assert install(*wanted) == []
    assert (tmp_path / "cfg/a").read_text() == "text with 'quotes', $dollars, \\backslash\\n and ünicode\n"
    assert (tmp_path / "links/a").readlink() == tmp_path / "cfg/a"
    assert [mode(tmp_path / name) for name in ("cfg", "cfg/a", "cfg/no-end-of-line", "new/deeper/secret", "new")] == [
        "700",
        "644",
        "755",
        "600",
        "755",
    ]
    assert not list(tmp_path.rglob(".*")), "the temporary files are gone"


@needs_root
def test_a_file_of_ours_is_removed_and_anothers_stays(tmp_path: Path) -> None:
    wanted = [NoFile(f"{tmp_path}/{name}", "# ours\n") for name in ("ours", "theirs")]
    (tmp_path / "ours").write_text("# ours\nip_vs\n")
    (tmp_path / "theirs").write_text("ip_vs\n")
    assert install(*wanted) == [f"remove {tmp_path}/ours"]
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]
    assert install(*wanted) == []


@needs_root
def test_edits_by_hand_are_reverted(tmp_path: Path) -> None:
    wanted: list[Wanted] = [
        Directory(f"{tmp_path}/d", "700"),
        File(f"{tmp_path}/f", "text\n"),
        Link(f"{tmp_path}/l", "/target"),
    ]
    install(*wanted)
    (tmp_path / "d").chmod(0o777)
    (tmp_path / "f").write_text("by hand\n")
    (tmp_path / "l").unlink()
    (tmp_path / "l").write_text("a file instead")
    assert len(install(*wanted)) == 3
    assert install(*wanted) == []
    os.chown(tmp_path / "f", 1, 1)
    (tmp_path / "f").chmod(0o600)
    assert install(*wanted) == [f"mode 600 daemon:daemon -> 644 root:root of {tmp_path}/f"]
    assert install(*wanted) == []


@needs_root
def test_a_file_is_replaced_whole_and_one_in_place_is_the_same_file(tmp_path: Path) -> None:
    whole, in_place = tmp_path / "whole", tmp_path / "hosts"
    for path in (whole, in_place):
        path.write_text("old\n")
        path.chmod(0o640)
    before = {path: path.stat().st_ino for path in (whole, in_place)}
    with whole.open() as reader:  # such as a process that reads it right now
        install(File(str(whole), "new\n"), Edit(str(in_place), lambda _: "new\n", in_place=True))
        assert reader.read() == "old\n", "a reader of the old file sees it whole"
    assert whole.stat().st_ino != before[whole]
    assert in_place.stat().st_ino == before[in_place], "a bind mount cannot be renamed over"
    assert (mode(whole), mode(in_place)) == ("644", "640"), "an edited file keeps its mode"


@needs_root
def test_a_secret_is_private_from_the_start(tmp_path: Path) -> None:
    """The modes of all files of the directory, noted whenever the script starts a program."""
    noting = f'stat -c "%a %n" {tmp_path}/.[a-z]* >>{tmp_path}/seen 2>/dev/null; exec /usr/bin/env -S'
    programs = tmp_path / "programs"
    for name, path in (("base64", "/usr/bin/base64"), ("chmod", "/usr/bin/chmod"), ("dd", "/usr/bin/dd")):
        program(programs, name, f'{noting} {path} "$@"')
    left = tmp_path / ".token.new"
    left.write_text("by a run that was killed")
    left.chmod(0o644)
    changes = compare([File(f"{tmp_path}/token", SECRET, "600", secret=True)], {})
    assert shell(SCRIPT, stdin=script_input(changes), programs=programs).returncode == 0
    seen = (tmp_path / "seen").read_text().splitlines()
    assert len(seen) == 3, "noted before each of the three"
    assert set(seen) == {f"600 {left}"}
    assert mode(tmp_path / "token") == "600"


@needs_root
def test_temporary_files_of_a_killed_run_do_not_stop_the_next(tmp_path: Path) -> None:
    (tmp_path / ".f.new").write_text("half a fi")
    (tmp_path / ".l.new").symlink_to("/somewhere")
    install(File(f"{tmp_path}/f", "text\n"), Link(f"{tmp_path}/l", "/target"))
    assert (tmp_path / "f").read_text() == "text\n"
    assert (tmp_path / "l").readlink() == Path("/target")


@needs_root
def test_a_directory_is_never_replaced_and_the_first_failure_stops(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f/precious").write_text("data")
    wanted = [File(f"{tmp_path}/f", "text"), File(f"{tmp_path}/g", "text")]
    ran = apply(compare(wanted, states(wanted)))
    assert ran.returncode != 0
    assert "directory" in ran.stderr
    assert (tmp_path / "f/precious").read_text() == "data"
    assert not (tmp_path / "g").exists(), "what comes after a failure is not done"


@needs_root
def test_a_file_without_a_text_is_an_error_and_not_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    ran = apply(compare([File(str(path), None)], {}))
    assert (ran.returncode, ran.stderr) == (1, f"{path}: nobody has said what it should hold\n")
    assert not path.exists()


@needs_root
def test_a_text_that_its_check_refuses_does_not_take_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "nginx.conf"
    path.write_text("listen 1;\n")
    check = "grep listen {new} || { cat {new}; false; }"
    for secret, words in ((False, "listne 2;"), (True, "(it says nothing here, as the file is secret)")):
        wanted = [File(str(path), "listne 2;\n", secret=secret, check=check)]
        ran = apply(compare(wanted, states(wanted)))
        assert ran.returncode == 1
        assert f"{path}: refused by: grep listen" in ran.stderr
        assert ran.stderr.endswith(f": {words}\n")
        assert secret == ("listne" not in ran.stderr + ran.stdout)
        assert path.read_text() == "listen 1;\n"
        assert not list(tmp_path.glob(".*")), "what was refused is gone"
    install(File(str(path), "listen 2;\n", check=check))
    assert path.read_text() == "listen 2;\n"


@needs_root
def test_text_is_in_no_argument_of_any_program(tmp_path: Path) -> None:
    """`ps` shows arguments to every user of the machine."""
    programs, seen = tmp_path / "programs", tmp_path / "seen"
    for name in ("base64", "chmod", "sync", "mv", "dirname", "basename", "rm", "sh"):
        program(programs, name, f'echo "$0 $*" >>{seen}; exec /usr/bin/{name} "$@"')
    wanted = [File(f"{tmp_path}/a", SECRET, "600", secret=True), File(f"{tmp_path}/b", SECRET, check="true {new}")]
    assert shell(SCRIPT, stdin=script_input(compare(wanted, {})), programs=programs).returncode == 0
    assert "base64 -d" in seen.read_text()
    for form in (SECRET, b64encode(SECRET.encode()).decode()):
        assert form not in seen.read_text()
        assert form not in SCRIPT


@needs_root
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_an_edit_keeps_every_byte_of_others(tmp_path: Path, theirs: bytes) -> None:
    """Also what is no UTF-8: /etc/hosts may hold a name in Latin-1."""
    path = tmp_path / "hosts"
    path.write_bytes(theirs)
    install(Edit(str(path), lambda text: f"{text}\nours\n"))
    assert path.read_bytes() == theirs + b"\nours\n"


# The fact that reads it back.


@needs_root
def test_the_fact_tells_kinds_modes_owners_digests_and_targets(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("text\n")
    (tmp_path / "f").chmod(0o640)
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "l").symlink_to(tmp_path / "f")
    (tmp_path / "to-d").symlink_to(tmp_path / "d")
    (tmp_path / "dangling").symlink_to("/nowhere")
    os.mkfifo(tmp_path / "other", 0o600)
    os.chown(tmp_path / "d", 1, 1)
    names = ("f", "d", "l", "to-d", "dangling", "other", "missing")
    found = answer(PathStates(), paths=[f"{tmp_path}/{name}" for name in names], shown={})
    assert found == {
        f"{tmp_path}/f": PathState("file", "640", ROOT, digest("text\n")),
        f"{tmp_path}/d": PathState("directory", "700", "daemon:daemon"),
        f"{tmp_path}/l": PathState("link", "777", ROOT, "", f"{tmp_path}/f"),
        f"{tmp_path}/to-d": PathState("link", "700", "daemon:daemon", "", f"{tmp_path}/d"),
        f"{tmp_path}/dangling": PathState("link", "777", ROOT, "", "/nowhere"),
        f"{tmp_path}/other": PathState("other", "600", ROOT),
    }


def test_the_fact_reads_a_text_only_if_it_differs_from_the_wanted_one(tmp_path: Path) -> None:
    for name in ("same", "other", "any", "not-asked"):
        (tmp_path / name).write_text(f"{name}\n")
    shown = {f"{tmp_path}/same": digest("same\n"), f"{tmp_path}/other": digest("wanted\n"), f"{tmp_path}/any": ""}
    paths = [f"{tmp_path}/{name}" for name in ("same", "other", "any", "not-asked")]
    found = answer(PathStates(), paths=paths, shown=shown)
    assert {Path(path).name: state.text for path, state in found.items()} == {
        "same": None,
        "other": "other\n",
        "any": "any\n",
        "not-asked": None,
    }


def test_the_fact_reads_a_machine_that_speaks_another_language(tmp_path: Path) -> None:
    translated = '[ "$LC_ALL" = C ] && exec /usr/bin/stat "$@"; /usr/bin/stat "$@" | sed "s/regular file/普通文件/"'
    programs = program(tmp_path / "programs", "stat", translated)
    (tmp_path / "f").write_text("text\n")
    found = answer(PathStates(), programs=programs, paths=[f"{tmp_path}/f"])
    assert found[f"{tmp_path}/f"].kind == "file"


def test_the_fact_leaves_out_paths_with_nothing_at_them(tmp_path: Path) -> None:
    assert answer(PathStates(), paths=[f"{tmp_path}/nothing", f"{tmp_path}/no/such/directory"]) == {}
