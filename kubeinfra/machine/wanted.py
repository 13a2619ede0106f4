"""Desired files of a machine, how it differs, and what of that is shown: no secret. Pure: no machine is read here."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import unified_diff
from functools import cached_property
from hashlib import sha256

from kubeinfra.machine.state import PathState


@dataclass(frozen=True)
class Directory:
    """A directory that must exist, with this mode (octal text)."""

    path: str
    mode: str = "755"


@dataclass(frozen=True)
class Link:
    """A symbolic link to `target`. + keep_existing: leave whatever is already at this path"""

    path: str
    target: str
    keep_existing: bool = False


@dataclass(frozen=True)
class File:
    """
    A text file.

    + content: its text; None if the text does not exist yet: in a plan, before a run has created the CA
    + secret: never shown, not even in a diff
    + unless: a path; if something exists there, this file is left alone
    + check: command that must accept the new text, in file {new}, before it replaces the old one
    """

    path: str
    content: str | None = field(repr=False)
    mode: str = "644"
    secret: bool = False
    unless: str | None = None
    check: str | None = None

    @cached_property
    def digest(self) -> str | None:
        return None if self.content is None else sha256(self.content.encode()).hexdigest()


@dataclass(frozen=True)
class Edit:
    """
    A file of which only a part is ours; its mode stays.

    + edit: takes the present text, and returns it with our part corrected
    + create: create the file if it is missing
    + in_place: write into the existing file, as it may be a bind mount, such as /etc/hosts in a container
    + secret: never shown, not even in a diff
    + shown: returns the part of a text that a diff may show, if the rest may hold secrets of others
    + check: as of a File; not together with in_place
    + keep_for: a unit; while it runs, the present text is kept in `before(path)`, for `converge` to go back to
    """

    path: str
    edit: Callable[[str], str]
    create: bool = True
    in_place: bool = False
    secret: bool = False
    shown: Callable[[str], str] | None = None
    check: str | None = None
    keep_for: str | None = None


@dataclass(frozen=True)
class NoFile:
    """
    No file of ours at this path: one whose text begins with `mark` is removed, another's stays.

    + mark: None if whatever is there is ours; its text is not read then, as it may be secret
    """

    path: str
    mark: str | None


Wanted = Directory | Link | File | Edit | NoFile


def paths_of(wanted: Iterable[Wanted]) -> list[str]:
    """Every path whose state `compare` needs for these."""
    items = list(wanted)
    return [item.path for item in items] + [item.unless for item in items if isinstance(item, File) and item.unless]


def texts_of(wanted: Iterable[Wanted]) -> dict[str, str]:
    """Path -> SHA-256 of the wanted text, "" where it depends on the present one; without secret files."""
    texts = {}
    for item in wanted:
        if isinstance(item, Edit) or (isinstance(item, NoFile) and item.mark is not None):
            texts[item.path] = ""
        elif isinstance(item, File) and not item.secret and (digest := item.digest):
            texts[item.path] = digest
    return texts


@dataclass(frozen=True)
class Change:
    """
    One change: the sentence of the plan, the lines of a diff, and the instruction for SCRIPT.

    + certificate: PEM, if the path will hold a new certificate
    + digest: SHA-256 of what the path will hold; "" if that is not known yet, None if its content stays
    """

    path: str
    sentence: str
    diff: tuple[str, ...]
    instruction: str
    digest: str | None = None
    certificate: str | None = None


def compare(wanted: Iterable[Wanted], found: Mapping[str, PathState]) -> list[Change]:
    """
    The changes that turn `found` into what is wanted, in the order of `wanted`.

    + found: path -> what is there; a path with nothing at it is left out

    Something of another kind at a path is replaced; a directory never is: that is an error on the machine.
    """
    return [change for item in wanted if (change := _compare_one(item, found))]


def _compare_one(item: Wanted, every: Mapping[str, PathState]) -> Change | None:
    found = every.get(item.path)
    if isinstance(item, Directory):
        return _compare_directory(item, found)
    if isinstance(item, Link):
        if found and (item.keep_existing or (found.kind == "link" and found.target == item.target)):
            return None
        return Change(item.path, f"link {item.path} -> {item.target}", (), f"link {item.path} {item.target}")
    if isinstance(item, Edit):
        return _compare_edit(item, found)
    if isinstance(item, NoFile):
        is_ours = found is not None and (item.mark is None or (found.text or "").startswith(item.mark))
        return Change(item.path, f"remove {item.path}", (), f"remove {item.path}", "") if is_ours else None
    return None if item.unless in every else _compare_file(item, found)


def _compare_directory(item: Directory, found: PathState | None) -> Change | None:
    # It may be a link, for example to another disk: mode and owner are those of its target.
    is_directory = found is not None and found.kind in ("directory", "link")
    if is_directory and found and found.mode == item.mode and found.owner == "root:root":
        return None
    verb = f"mode {found.mode} {found.owner} -> {item.mode} root:root of" if found else "make"
    return Change(item.path, f"{verb} directory {item.path}", (), f"directory {item.path} {item.mode}")


def _compare_file(item: File, found: PathState | None) -> Change | None:
    text = item.content
    is_file = found is not None and found.kind == "file"
    if is_file and found and text is not None and found.digest == item.digest:
        if found.mode == item.mode and found.owner == "root:root":
            return None
        sentence = f"mode {found.mode} {found.owner} -> {item.mode} root:root of {item.path}"
        return Change(item.path, sentence, (), set_mode(item.path, item.mode))
    if text is None and found is not None:
        return None  # a plan does not know the new text; it may be the present one
    instruction = unknown(item.path) if text is None else write(item.path, item.mode, text)
    if item.check and text is not None:
        instruction = _checked(item.path, item.mode, text, item.check, item.secret)
    sentence = _sentence("change" if is_file else "write", item)
    diff = () if item.secret or text is None else _diff(item.path, (found.text or "") if found else "", text)
    return Change(item.path, sentence, diff, instruction, item.digest or "")


def _compare_edit(item: Edit, found: PathState | None) -> Change | None:
    if found is None and not item.create:
        return None
    now = (found.text or "") if found else ""
    text = item.edit(now)
    if found and text == now:
        return None
    mode = found.mode if found and found.kind == "file" else "644"
    instruction = f"{'inplace' if item.in_place else 'file'} {item.path} {mode} {_encoded(text)}"
    if item.check:
        instruction = _checked(item.path, mode, text, item.check, item.secret)
    if item.keep_for:
        instruction = f"keep {item.path} {before(item.path)} {item.keep_for}\n{instruction}"
    sentence = _sentence("change" if found else "write", item)
    shown = item.shown or str
    diff = () if item.secret else _diff(item.path, shown(now), shown(text))
    return Change(item.path, sentence, diff, instruction, sha256(text.encode(errors="surrogateescape")).hexdigest())


def write(path: str, mode: str, text: str) -> str:
    """Instruction: write a file with this mode (octal text) and text, owned by root; it appears at once, complete."""
    return f"file {path} {mode} {_encoded(text)}"


def _checked(path: str, mode: str, text: str, check: str, secret: bool) -> str:
    """Instruction: write a file as `write` does, if a command accepts it."""
    return f"{'checked-secret' if secret else 'checked'} {path} {mode} {_encoded(text)} {check}"


def before(path: str) -> str:
    """Where the text is kept that a file had before; see Edit."""
    return f"{path}.before"


def set_mode(path: str, mode: str) -> str:
    """Instruction: set this mode (octal text) and owner root."""
    return f"mode {path} {mode}"


def unknown(path: str) -> str:
    """Instruction of a plan for a file whose text does not exist yet; SCRIPT rejects it."""
    return f"unknown {path}"


def _sentence(verb: str, item: File | Edit) -> str:
    return f"{verb} {item.path}{' (secret)' if item.secret else ''}"


def _encoded(text: str) -> str:
    return b64encode(text.encode(errors="surrogateescape")).decode()


def _diff(path: str, old: str, text: str) -> tuple[str, ...]:
    old, text = (each.encode(errors="replace").decode() for each in (old, text))
    lines = unified_diff(old.splitlines(), text.splitlines(), f"{path} (now)", f"{path} (wanted)", lineterm="", n=2)
    return tuple(lines)


# One command carries out all instructions of an operation. It reads them from standard input, so that no text is in
# a command line. A file is written next to its final name with its final mode, synced, and renamed.
SCRIPT = """\
set -eu
umask 077
flush() { dd status=none if=/dev/null of="$1" conv=notrunc,fsync; }  # as in kubeinfra/machine/shell.py
while read -r kind path first rest; do
    directory=$(dirname "$path")
    new="$directory/.$(basename "$path").new"
    rm -f "$new"  # left by a run that was killed, perhaps open to others
    case $kind in
    directory) [ -d "$path" ] || install -d -m 755 "$path"; chmod "$first" "$path"; chown root:root "$path" ;;
    link) [ -d "$directory" ] || install -d -m 755 "$directory"; ln -sfT "$first" "$new"; mv -fT "$new" "$path" ;;
    keep) rm -f "$first"; [ ! -f "$path" ] || ! systemctl --quiet is-active "$rest" || cp -p "$path" "$first" ;;
    mode) chmod "$first" "$path"; chown root:root "$path" ;;
    remove) rm -f "$path" ;;
    inplace) printf %s "$rest" | base64 -d >"$new"; flush "$new"  # a full disk is found out before it is emptied
        cat "$new" >"$path"; rm -f "$new"; chmod "$first" "$path" ;;
    file) [ -d "$directory" ] || install -d -m 755 "$directory"
        printf %s "$rest" | base64 -d >"$new"; chmod "$first" "$new"; flush "$new"; mv -fT "$new" "$path" ;;
    checked|checked-secret) [ -d "$directory" ] || install -d -m 755 "$directory"
        printf %s "${rest%% *}" | base64 -d >"$new"; chmod "$first" "$new"; flush "$new"
        check=$(printf %s "${rest#* }" | sed "s#{new}#$new#g")
        if said=$(sh -c "$check" 2>&1 </dev/null); then mv -fT "$new" "$path"; else
            # What it says may quote the file, which may be secret.
            [ "$kind" = checked ] || said="(it says nothing here, as the file is secret)"
            rm -f "$new"; echo "$path: refused by: $check: $said" >&2; exit 1; fi ;;
    *) echo "$path: nobody has said what it should hold" >&2; exit 1 ;;
    esac
done
"""


def script_input(changes: Iterable[Change]) -> str:
    """The standard input of SCRIPT."""
    return "".join(change.instruction + "\n" for change in changes)
