"""Write the table of values into the chart's README: defaults from values.yaml, meanings from values.schema.json.

Run from the root of the checkout: python helm/values_table.py
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "seacanary"
README = CHART / "README.md"
BEGIN, END = "<!-- values -->", "<!-- /values -->"


class Undescribed(Exception):
    """A value that the schema does not know, or says nothing of."""


def table() -> str:
    """The table, one row for each value."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    rows = [_row(path, value, told) for path, value, told in _rows(values, schema)]
    return "\n".join(["| value | default | what it is |", "|---|---|---|", *rows])


def with_table(text: str) -> str:
    """The README's text with the table as it should be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _rows(values: Mapping[str, Any], schema: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, object, str]]:
    """Path, default and meaning of each value; a mapping whose keys the schema names is no value itself."""
    for name, value in values.items():
        path = f"{above}{name}"
        entry = schema.get("properties", {}).get(name)
        if entry is None or "description" not in entry:
            raise Undescribed(f"values.schema.json says nothing of {path}")
        if "properties" in entry:
            yield from _rows(value, entry, f"{path}.")
        else:
            yield path, value, _with_choices(entry)


def _with_choices(entry: Mapping[str, Any]) -> str:
    choices = ", ".join(f"`{choice}`" for choice in entry.get("enum", ()))
    return f"{entry['description']} ({choices})" if choices else entry["description"]


def _row(path: str, value: object, told: str) -> str:
    return f"| `{path}` | `{_cell(json.dumps(value))}` | {_cell(told)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
