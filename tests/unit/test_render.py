"""Templates are filled in completely, and systemd reads the flags as they were meant."""

from __future__ import annotations

import configparser
import shlex

import pytest
from jinja2 import UndefinedError

from kubeinfra.machine.render import ROOT, static, template


def unit(**values: object) -> str:
    return template(
        "component.service.j2",
        **{
            "description": "a component",
            "documentation": "https://example.com",
            "unit": "x.service",
            "inputs": ["/etc/x"],
            "binary": "/opt/x",
            "flags": {"b": "2", "a": "1"},
            **values,
        },
    )


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="is undefined"):
        template("etcd/etcdctl.j2")


def test_flags_stand_one_a_line_in_order_so_that_two_versions_diff_well() -> None:
    lines = unit().splitlines()
    start = lines.index("ExecStart=/opt/x \\")
    assert lines[start : start + 4] == ["ExecStart=/opt/x \\", "    --a=1 \\", "    --b=2", "Restart=always"]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "--a=plain"),
        ("100%", "--a=100%%"),
        ("a$b", "--a=a$$b"),
        ("two words", '--a="two words"'),
    ],
)
def test_a_flag_reaches_its_process_as_it_was_said(value: str, written: str) -> None:
    """systemd expands % and $, and splits at spaces (systemd.service(5))."""
    assert f"    {written}\n" in unit(flags={"a": value})


def test_a_unit_records_its_inputs_before_it_starts() -> None:
    text = unit(inputs=["/etc/x", "/etc/y"], existence=["/etc/z"])
    parser = configparser.ConfigParser(strict=False, delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text.replace(" \\\n", " "))
    shell, option, script = shlex.split(parser["Service"]["ExecStartPre"])
    assert (shell, option) == ("/bin/sh", "-ec")
    assert "sha256sum /etc/x /etc/y" in script
    assert script.endswith(">/run/kubeinfra/x.service.inputs")
    assert "[ -e /etc/z ]" in script
    assert parser["Install"]["WantedBy"] == "multi-user.target"
    assert parser["Unit"]["StartLimitIntervalSec"] == "0", "a unit that gives up has to be started by hand"


def test_files_that_are_sent_as_they_are_are_read_from_their_folder() -> None:
    assert static("control_plane/audit-policy.yaml").startswith("#")
    assert (ROOT / "templates").is_dir()
