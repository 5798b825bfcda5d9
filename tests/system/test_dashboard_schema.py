"""The committed dashboards against Grafana's own types: misspelt options and impossible values do not compile."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dashboard_panels import FILES, FOLDER, dashboard, panels

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs node and npm"),
]

# The oldest Grafana the dashboards are for, and the one that deploy/compose.yaml pins.
COMPOSE = (FOLDER.parent / "deploy" / "compose.yaml").read_text(encoding="utf-8")
VERSIONS = ("11.6.9", *re.findall(r"grafana/grafana\S*?:(\d+[.]\d+[.]\d+)", COMPOSE))

# Each panel type's own types: module, and the name of its field options there or in the schema itself.
KINDS = {
    "heatmap": ("heatmap/panelcfg/x/HeatmapPanelCfg_types.gen", "FieldConfig"),
    "stat": ("stat/panelcfg/x/StatPanelCfg_types.gen", None),
    "state-timeline": ("statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen", "FieldConfig"),
    "table": ("table/panelcfg/x/TablePanelCfg_types.gen", "FieldConfig"),
    "timeseries": ("timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen", "FieldConfig"),
}
RAW = "@grafana/schema/dist/esm/raw/composable"

# JSON has the values of enums, not their names.
PLAIN = """
type Plain<T> = T extends string ? `${T}`
  : T extends (infer Item)[] ? Plain<Item>[]
  : T extends object ? { [Key in keyof T]: Plain<T[Key]> } : T;
"""


@pytest.fixture(scope="module", params=VERSIONS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schema")
    (folder / "package.json").write_text("{}", encoding="utf-8")
    packages = (f"@grafana/schema@{request.param}", "typescript@5.9.3")
    install = ["npm", "install", "--no-audit", "--no-fund", "--prefer-offline", *packages]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        pytest.skip(f"npm cannot fetch {packages}: {done.stderr[-300:]}")
    _export_types(folder / "node_modules" / "@grafana" / "schema" / "package.json")
    return folder


def _export_types(package: Path) -> None:
    """Grafana's packages name their panel types by file ending or without it, by version: offer both."""
    tree = json.loads(package.read_text(encoding="utf-8"))
    for module, _ in KINDS.values():
        tree["exports"].setdefault(f"./dist/esm/raw/composable/{module}", f"./dist/esm/raw/composable/{module}.d.ts")
    package.write_text(json.dumps(tree), encoding="utf-8")


def type_errors(folder: Path, source: str) -> str:
    """What tsc says of a source, "" if nothing."""
    (folder / "check.ts").write_text(source, encoding="utf-8")
    options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "es2022"]
    compiler = ["node", "node_modules/typescript/bin/tsc", *options, "--moduleResolution", "bundler", "check.ts"]
    done = subprocess.run(compiler, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout if done.returncode else ""


def typescript(trees: list[dict[str, Any]]) -> str:
    """Dashboards, their panels' options and field options as typed constants."""
    lines = [PLAIN, "import type { Dashboard } from '@grafana/schema';"]
    for kind, (module, fields) in KINDS.items():
        names = f"Options as {_name(kind)}Options" + (f", {fields} as {_name(kind)}Fields" if fields else "")
        lines.append(f"import type {{ {names} }} from '{RAW}/{module}';")
    for number, tree in enumerate(trees):
        lines.append(f"export const dashboard{number}: Plain<Dashboard> = {json.dumps(tree)};")
        for panel in panels(tree):
            lines += _panel(f"panel{number}_{panel['id']}", panel)
    return "\n".join(lines)


def _panel(name: str, panel: dict[str, Any]) -> list[str]:
    kind = panel["type"]
    lines = [f"export const {name}: Plain<{_name(kind)}Options> = {json.dumps(panel['options'])};"]
    custom = panel["fieldConfig"]["defaults"].get("custom")
    if custom is not None and KINDS[kind][1]:
        lines.append(f"export const {name}_fields: Plain<Partial<{_name(kind)}Fields>> = {json.dumps(custom)};")
    return lines


def _name(kind: str) -> str:
    return kind.title().replace("-", "")


@pytest.mark.timeout(200)
def test_dashboards_have_the_types_of_grafanas_schema(folder: Path) -> None:
    assert type_errors(folder, typescript([dashboard(path) for path in FILES])) == ""


@pytest.mark.timeout(200)
def test_a_misspelt_option_or_an_impossible_value_does_not_compile(folder: Path) -> None:
    tree = dashboard(FILES[0])
    first = next(panel for panel in panels(tree) if panel["type"] == "stat")
    first["options"]["colourMode"] = "value"
    assert "colourMode" in type_errors(folder, typescript([tree]))
    del first["options"]["colourMode"]
    first["options"]["colorMode"] = "sometimes"
    assert "sometimes" in type_errors(folder, typescript([tree]))
