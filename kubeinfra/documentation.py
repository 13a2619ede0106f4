"""The parts of the documentation that are made from the code, so that both say the same."""

from __future__ import annotations

from typing import Any

from kubeinfra.settings import Settings


def settings_table() -> str:
    """Every setting as a Markdown table: name, type, default, meaning."""
    schema = Settings.model_json_schema()["properties"]
    rows = ["| setting | type | default | what it does |", "| --- | --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default is None else f"`{default}`"
        meaning = (field.description or "").replace("|", "\\|")
        rows.append(f"| `{name}` | {_type(schema[name])} | {shown} | {meaning} |")
    return "\n".join(rows)


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return _type(next(one for one in schema["anyOf"] if one.get("type") != "null"))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    words = {"string": "text", "integer": "number", "boolean": "True or False", "array": "list", "object": "dictionary"}
    return str(schema.get("format") or words[schema["type"]])
