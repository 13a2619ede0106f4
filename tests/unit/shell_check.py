"""Shell as it would run on a machine, judged by `sh -n` and by shellcheck."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

# What is not looked for in any of the project's shell, and why.
EXCLUDED = {
    "SC1091": "/etc/os-release is the machine's",
    "SC2016": "what stands in single quotes is for awk, sed, jsonpath or another shell, which is checked by itself",
    "SC2043": "a list in a loop may have one entry",
}
# What stands before a script that is one quoted word: a shell, or the shell function of kubeinfra/facts/health.py.
_BEFORE = re.compile(r"\bsh -e?c (?=['\"])|\bask (?:'[^']*'|\S+) (?:'[^']*'|\S+) (?=['\"])")


def findings(scripts: Iterable[str], directory: Path) -> list[str]:
    """
    What is wrong with scripts, and with those in them that are a word to the outer shell (`sh -c '...'`).

    + directory: for files of the test
    """
    every = list(dict.fromkeys(text for script in scripts for text in (script, *inner(script))))
    # A first line of its own: shellcheck takes "! command" for a misspelled "#!".
    whole = (text if text.startswith("#!") else f"#!/bin/sh\n{text}" for text in every)
    paths = {directory / f"{number}.sh": text for number, text in enumerate(whole)}
    for path, text in paths.items():
        path.write_text(text)
    return [*_syntax(paths), *_shellcheck(paths)]


def inner(script: str) -> Iterator[str]:
    """The scripts that a script passes to other shells as one quoted word, and theirs."""
    place = 0
    while found := _BEFORE.search(script, place):
        word, place = _word(script, found.end())
        if not word.startswith("$"):  # a variable: its text is somewhere else
            yield word
            yield from inner(word)


def _word(script: str, start: int) -> tuple[str, int]:
    """The shell word that begins there, without its quotes, and where it ends."""
    text, place, quote = "", start, ""
    while place < len(script) and (quote or script[place] not in " \t\n;|&<>()"):
        character = script[place]
        if character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        elif character == "\\" and quote != "'":
            place += 1
            text += script[place]
        else:
            text += character
        place += 1
    return text, place


def units_commands(text: str) -> Iterator[str]:
    """The shell in the Exec lines of a unit."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("Exec"):
            yield from inner(line.replace("$$", "$").replace("%%", "%"))


def _syntax(paths: dict[Path, str]) -> Iterator[str]:
    for path, text in paths.items():
        ran = subprocess.run(["sh", "-n", path], capture_output=True, text=True, check=False)
        if ran.returncode:
            yield f"sh -n: {ran.stderr.strip()}\n    {text}"


def _shellcheck(paths: dict[Path, str]) -> Iterator[str]:
    program = Path(sys.executable).with_name("shellcheck")
    options = ["--norc", "--shell=dash", "--format=json", f"--exclude={','.join(EXCLUDED)}"]
    ran = subprocess.run([program, *options, *paths], capture_output=True, text=True, check=False)
    assert ran.returncode in (0, 1), f"shellcheck itself failed: {ran.stderr}"
    comments: list[dict[str, Any]] = json.loads(ran.stdout)
    for comment in comments:
        line = paths[Path(comment["file"])].splitlines()[comment["line"] - 1]
        excerpt = line[max(comment["column"] - 60, 0) : comment["column"] + 60]
        yield f"SC{comment['code']}: {comment['message']}\n    {excerpt}"
