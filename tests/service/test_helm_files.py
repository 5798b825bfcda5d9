"""What the chart is made of agrees with the rest of the checkout; helm itself is not needed."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from helm_chart import CHART, ROOT
from seacanary import __version__

sys.path.insert(0, str(ROOT / "helm"))
from values_table import README, with_table

ORIGINALS = [*ROOT.glob("dashboards/*.json"), *ROOT.glob("deploy/prometheus/rules/*.yml")]


def test_chart_holds_every_dashboard_and_every_rule_as_they_are() -> None:
    copies = {path.name: path.read_bytes() for path in [*CHART.glob("files/*/*.json"), *CHART.glob("files/*/*.yml")]}
    assert copies == {path.name: path.read_bytes() for path in ORIGINALS}


def test_readme_has_every_value_with_its_default_and_meaning() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == with_table(text), "run make helm-docs"


def test_table_follows_the_values() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    rows = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert f"| `metrics.port` | `{values['metrics']['port']}` |" in "\n".join(rows)
    assert any(row.startswith('| `kafka.login.mechanism` | `"SCRAM-SHA-512"` |') for row in rows)


def test_schema_knows_no_value_that_is_not_there() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert _leaves(schema) - {"global"} == _paths(values, schema)


def test_chart_installs_this_version_of_the_service() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == __version__


@pytest.mark.parametrize("path", sorted(CHART.rglob("*")), ids=lambda path: str(path.relative_to(CHART)))
def test_links_stay_within_the_checkout(path: Path) -> None:
    assert path.resolve().is_relative_to(ROOT)
    assert not path.is_symlink() or not path.readlink().is_absolute()


def _leaves(schema: dict[str, object], above: str = "") -> set[str]:
    properties = schema["properties"]
    assert isinstance(properties, dict)
    found: set[str] = set()
    for name, entry in properties.items():
        found |= _leaves(entry, f"{above}{name}.") if "properties" in entry else {above + name}
    return found


def _paths(values: dict[str, object], schema: dict[str, object], above: str = "") -> set[str]:
    properties = schema["properties"]
    assert isinstance(properties, dict)
    found: set[str] = set()
    for name, value in values.items():
        entry = properties[name]
        found |= _paths(value, entry, f"{above}{name}.") if "properties" in entry else {above + name}  # type: ignore[arg-type]  # the schema says it is a mapping
    return found
