"""What we send to machines has no form that the oldest listed distribution, CentOS 7, does not know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_machine import shell

from kubeinfra.machine.shell import flush
from kubeinfra.machine.units import for_systemd
from kubeinfra.machine.wanted import File

ROOT = Path(__file__).resolve().parents[2]
SENT = [path for part in ("kubeinfra", "tasks", "day2", "templates", "files") for path in (ROOT / part).rglob("*")]
# Form -> (what it needs, what is there).
FORBIDDEN = {
    r"(?<![-\w])sync (-f|[\"'$/{])": "coreutils 8.24; `flush` of kubeinfra/machine/shell.py",
    r"openssl .*-(ext|addext|noenc|copy_extensions)\b": "openssl 1.1.1; 1.0.2 has -text",
    r"\bip( -\w+)* -(br|brief|j|json)\b": "iproute 4.13 and newer for all commands; `ip -o` and awk",
    r"systemctl .*--now\b": "systemd 220; stop and disable",
    r"systemctl .*(--value|-P) ": "systemd 230; sed",
    r"list-units .*--plain(?!.*\| LC_ALL=C sed)": "systemd 220: in 219 a mark may come first in a line",
    r"Exec\w+=[-@]*!": "systemd 235",
    r"\b(ExecCondition|StateDirectory|LogsDirectory|RuntimeDirectoryPreserve|DynamicUser)=": ("systemd 230 and newer"),
    r"\b(MemoryMax|MemoryHigh|ReadWritePaths|OOMPolicy|ProtectSystem=strict)\b": "systemd 231 and newer",
    r"journalctl .*--(output-fields|namespace|grep)": "systemd 236 and newer",
    r"--(retry-connrefused|retry-all-errors|fail-with-body|connect-to|parallel|fail-early)\b": "curl 7.49 and newer",
    r"\b(b2sum|basenc|env -S|wait -n|declare -n|local -n)\b": "coreutils 8.26, bash 4.3 and newer",
    r"\$\{\w+@\w\}": "bash 4.4",
}


def texts() -> Iterator[tuple[str, str]]:
    for path in SENT:
        if path.is_file() and path.suffix != ".pyc" and "templates/report" not in str(path):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def complaints(form: str) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(form, line) and not re.match(r"\s*(#|\"\"\"|remedy|found)", line)
    ]


@pytest.mark.parametrize("form", FORBIDDEN)
def test_no_form_is_newer_than_the_oldest_machine(form: str) -> None:
    assert not complaints(form), f"needs {FORBIDDEN[form]}"


@pytest.mark.parametrize(
    "line",
    [
        'sync "$new"; mv',
        "sync -f /var/lib",
        "sync {path}.part",
        "openssl x509 -in a -noout -ext subjectAltName",
        "ip -brief -4 address",
        "ip -4 -json route",
        "systemctl disable --quiet --now ufw",
        "systemctl list-units --type swap --plain | while read -r unit load",
        "ExecStartPre=-!/bin/sh",
        "curl --retry-all-errors x",
    ],
)
def test_each_form_is_found(line: str) -> None:
    """The test above is worth nothing unless this holds."""
    assert any(re.search(form, line) for form in FORBIDDEN)


def test_what_is_written_is_brought_to_the_disk_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a file"
    file.write_text("text\n")
    file.chmod(0o640)
    done = shell(flush(f"'{file}'"))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert (file.read_text(), oct(file.stat().st_mode & 0o777)) == ("text\n", "0o640")
    assert shell(flush(f"{tmp_path}/no/such")).returncode != 0, "and what cannot be is told"


UNIT = File(
    "/etc/systemd/system/a.service",
    "[Unit]\nStartLimitIntervalSec=0\nAfter=b\n\n[Service]\nExecStartPre=+/bin/c\nExecStart=/bin/d +e\n",
)


@pytest.mark.parametrize("systemd", [231, 252, None])
def test_a_unit_for_a_current_systemd_is_as_it_is_written(systemd: int | None) -> None:
    assert for_systemd(UNIT, systemd) == UNIT


def test_a_unit_for_an_older_systemd_says_the_same_in_its_words() -> None:
    plain = (UNIT.content or "").replace("+/bin/c", "/bin/c")
    assert for_systemd(UNIT, 230) == File(UNIT.path, plain)
    old = "[Unit]\nAfter=b\n\n[Service]\nStartLimitInterval=0\nExecStartPre=/bin/c\nExecStart=/bin/d +e\n"
    assert for_systemd(UNIT, 219) == File(UNIT.path, old)
    other = File("/etc/a.conf", UNIT.content)
    assert for_systemd(other, 219) == other
