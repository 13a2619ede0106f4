"""Renders the templates of `templates/`. A missing value is an error, not an empty text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kubeinfra.machine.inputs import record_inputs

ROOT = Path(__file__).resolve().parents[2]

_environment = Environment(
    loader=FileSystemLoader(ROOT / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,
)


def _systemd(value: object) -> str:
    """One argument of ExecStart: systemd expands % and $, and splits at spaces (systemd.service(5))."""
    text = str(value).replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if " " in text else text


_environment.filters["systemd"] = _systemd
_environment.globals["record_inputs"] = record_inputs


def template(name: str, /, **values: Any) -> str:
    """The text of `templates/<name>`, such as "etcd/etcd.service.j2"."""
    return _environment.get_template(name).render(**values)


def static(name: str) -> str:
    """The text of `files/<name>`, sent as it is."""
    return (ROOT / "files" / name).read_text()
