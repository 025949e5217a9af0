"""The schema of report.json: `python -m kernelgate.reporting.report_schema > docs/report.schema.json`."""

from typing import Any

import msgspec

from kernelgate.reporting.report import Report

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def render_schema() -> str:
    """Return the schema as JSON text."""
    schema = {"$schema": DIALECT, **_let_null_in(msgspec.json.schema(Report))}
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def _let_null_in(schema: Any) -> Any:
    """Return the schema with null beside each number: it stands for what is not finite."""
    if isinstance(schema, list):
        return [_let_null_in(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {name: _let_null_in(each) for name, each in schema.items()}
    return {**changed, "type": ["number", "null"]} if schema.get("type") == "number" else changed


if __name__ == "__main__":
    print(render_schema(), end="")
