"""The committed dashboards: generated, complete, and asking only for metrics that exist."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from dashboards.source.presence import RULE_STEP_S
from dashboards.source.rendering import DASHBOARDS, rendered

from dashboard_panels import FILES, FOLDER, dashboard, filled_in, metric_names, panels, queries
from seacanary.metrics import Metrics
from seacanary.web.event_reading import EventQuery

RULES = FOLDER.parent / "deploy" / "prometheus" / "rules"
EXAMPLE = {
    "station": ".+", "hydrophone": ".+", "species": ".+",
    "__interval": "1m", "__rate_interval": "1m", "__range": "1h",
}  # fmt: skip

# Of others: Prometheus itself, and NVIDIA's DCGM exporter (its default counters).
FOREIGN = {
    "up",
    "ALERTS",
    *(f"DCGM_FI_DEV_{name}" for name in ("GPU_UTIL", "FB_USED", "POWER_USAGE", "GPU_TEMP", "XID_ERRORS")),
}

EACH = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def registered() -> set[str]:
    """Names of all series the station can serve."""
    names: set[str] = set()
    for family in Metrics().registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}
        names |= {family.name + suffix for suffix in suffixes.get(family.type, ("",))}
    return names


def recorded() -> set[str]:
    """Names of all recording rules."""
    trees = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULES.glob("*.yml")]
    return {rule["record"] for tree in trees for group in tree["groups"] for rule in group["rules"] if "record" in rule}


def test_each_file_is_what_its_source_gives() -> None:
    assert {path.stem for path in FILES} == set(DASHBOARDS)
    for path in FILES:
        assert rendered(path.stem) == path.read_text(encoding="utf-8"), "run: python -m dashboards.source"


@EACH
def test_every_panel_says_what_it_shows_in_which_unit(path: Path) -> None:
    for panel in panels(dashboard(path)):
        assert panel["title"], path
        assert len(panel["description"]) > 10, panel["title"]
        assert panel["targets"], panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"], panel["title"]
        if defaults["unit"] == "none":  # states and words: every value has a name, or its column says what it is
            overrides = panel["fieldConfig"]["overrides"]
            assert defaults.get("mappings") or (panel["type"] == "table" and overrides), panel["title"]


@EACH
def test_every_query_asks_the_chosen_datasource(path: Path) -> None:
    tree = dashboard(path)
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    asked = [part for panel in panels(tree) for part in (panel, *panel["targets"])]
    asked += [variable for variable in tree["templating"]["list"] if variable["type"] == "query"]
    assert all(part["datasource"] == chosen for part in asked)
    assert tree["templating"]["list"][0]["type"] == "datasource"


@EACH
def test_ids_of_panels_and_queries_are_unique(path: Path) -> None:
    tree = dashboard(path)
    assert len({panel["id"] for panel in tree["panels"]}) == len(tree["panels"])
    for panel in panels(tree):
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)


def test_dashboards_are_linked_and_named_apart() -> None:
    trees = [dashboard(path) for path in FILES]
    assert len({tree["uid"] for tree in trees}) == len({tree["title"] for tree in trees}) == len(trees)
    for tree in trees:
        assert 8 <= len(tree["uid"]) <= 40
        assert tree["tags"] == tree["links"][0]["tags"] == ["seacanary"]
        assert (tree["timezone"], tree["refresh"]) == ("utc", "10s")


@EACH
def test_panels_neither_overlap_nor_leave_the_grid(path: Path) -> None:
    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        at = panel["gridPos"]
        return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}

    tree = dashboard(path)
    for panel in tree["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24, panel["title"]
    for one, other in combinations(tree["panels"], 2):
        assert not cells(one) & cells(other), (one["title"], other["title"])


@EACH
def test_variables_come_before_those_that_depend_on_them(path: Path) -> None:
    known: set[str] = {"datasource"}
    for variable in dashboard(path)["templating"]["list"]:
        if variable["type"] == "query":
            assert set(re.findall(r"\$(\w+)", variable["query"]["query"])) <= known
            assert variable["multi"]
            assert variable["includeAll"]
        known.add(variable["name"])


def test_every_query_parses_and_asks_for_metrics_that_exist() -> None:
    known = registered() | recorded() | FOREIGN
    for query in queries():
        names = metric_names(filled_in(query.expr, EXAMPLE))
        assert names, query
        assert names <= known, f"{query}: {names - known}"


def test_variables_ask_for_metrics_that_exist() -> None:
    for path in FILES:
        for variable in dashboard(path)["templating"]["list"]:
            if variable["type"] == "query":
                series = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
                assert series is not None
                name = re.match(r"\w+", series[1])
                assert name is not None
                assert name[0] in registered() | FOREIGN


@EACH
def test_codes_of_states_have_names(path: Path) -> None:
    for panel in panels(dashboard(path)):
        if panel["type"] == "state-timeline":
            names = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
            for target in panel["targets"]:
                codes = set(re.findall(r"\* (\d+)\b", target["expr"]))
                assert codes <= set(names), panel["title"]
                assert len({name["color"] for name in names.values()}) == len(names)


def test_steps_of_effort_are_those_of_the_recording_rule() -> None:
    groups = yaml.safe_load((RULES / "presence.yml").read_text(encoding="utf-8"))["groups"]
    (group,) = (
        g for g in groups if any(r.get("record") == "hydrophone_species:seacanary_present:state" for r in g["rules"])
    )
    assert group["interval"] == f"{RULE_STEP_S}s"


def test_links_to_evidence_lead_to_what_the_station_serves() -> None:
    (events,) = (panel for panel in panels(dashboard(FOLDER / "presence.json")) if panel["title"] == "Events")
    properties = [p for override in events["fieldConfig"]["overrides"] for p in override["properties"]]
    (link,) = (link for p in properties if p["id"] == "links" for link in p["value"])
    path, parameters = link["url"].removeprefix("${evidence_url:raw}").split("?")
    assert path == "/api/events"
    assert set(re.findall(r"(\w+)=", parameters)) <= set(EventQuery.model_fields)
    columns = {matcher["matcher"]["options"] for matcher in events["fieldConfig"]["overrides"]}
    assert set(re.findall(r"__data\.fields\.(\w+)", parameters)) <= columns


@EACH
def test_data_links_name_no_variable_that_is_missing(path: Path) -> None:
    tree = dashboard(path)
    known = {variable["name"] for variable in tree["templating"]["list"]}
    used = set(re.findall(r"\$\{(\w+)(?::\w+)?\}", json.dumps(tree))) - {"datasource"}
    assert {name for name in used if not name.startswith("__")} <= known
