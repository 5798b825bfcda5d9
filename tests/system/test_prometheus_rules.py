"""The rules of deploy/prometheus: valid, unit-tested to the last one, about metrics that exist, and documented."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from seacanary.metrics import Metrics

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed"),
]

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULE_FILES = sorted((PROMETHEUS / "rules").glob("*.yml"))
TEST_FILES = sorted((PROMETHEUS / "tests").glob("*.yml"))
GUIDE = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
RULES: list[dict[str, Any]] = [
    rule for path in RULE_FILES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDS = [rule["record"] for rule in RULES if "record" in rule]
UNIT_TESTS: list[dict[str, Any]] = [test for path in TEST_FILES for test in yaml.safe_load(path.read_text())["tests"]]


def promtool(*arguments: object) -> None:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def series_in(expression: str) -> set[str]:
    """Names of the series that an expression reads."""
    names: set[str] = set()

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            assert node.name, f"a selector without a name in {expression}"
            names.add(node.name)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return names


def exported_series() -> set[str]:
    """Every series name that a station can serve, also of metrics that have no value yet."""
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "info": ("_info",), "gauge": ("",)}
    return {family.name + end for family in Metrics().registry.collect() for end in endings[family.type]}


def texts_of(rule: dict[str, Any]) -> Iterator[str]:
    """The rule's own expression, and those its annotations ask."""
    yield rule["expr"]
    for text in rule.get("annotations", {}).values():
        for query in re.findall(r'printf\s+"([^"%]*%s[^"]*)"', text):
            yield query.replace("%s", "x")


def test_the_configuration_and_its_rules_are_valid() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")


@pytest.mark.parametrize("targets", ["targets", "targets-compose", "targets-example"])
def test_every_station_to_scrape_is_named(targets: str) -> None:
    groups = [g for path in (PROMETHEUS / targets).glob("stations*.yml") for g in yaml.safe_load(path.read_text())]
    names = [group["labels"]["station"] for group in groups]
    assert names
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("targets", ["targets", "targets-compose"])
def test_prometheus_finds_the_same_files_with_either_set_of_targets(tmp_path: Path, targets: str) -> None:
    shutil.copytree(PROMETHEUS, tmp_path / "prometheus", ignore=shutil.ignore_patterns("targets*"))
    shutil.copytree(PROMETHEUS / targets, tmp_path / "prometheus" / "targets")
    promtool("check", "config", tmp_path / "prometheus" / "prometheus.yml")
    wanted = {path.name for path in (PROMETHEUS / "targets").iterdir()}
    assert {path.name for path in (tmp_path / "prometheus" / "targets").iterdir()} == wanted


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.stem)
def test_rules_do_what_their_unit_tests_say(path: Path) -> None:
    promtool("test", "rules", path)


def test_every_alert_is_seen_firing_and_seen_quiet() -> None:
    cases = [case for test in UNIT_TESTS for case in test.get("alert_rule_test", [])]
    fired = {
        (case["alertname"], alert["exp_labels"]["severity"], alert["exp_annotations"]["runbook"])
        for case in cases
        for alert in case["exp_alerts"]
    }
    quiet = {case["alertname"] for case in cases if not case["exp_alerts"]}
    wanted = {(rule["alert"], rule["labels"]["severity"], rule["annotations"]["runbook"]) for rule in ALERTS}
    assert fired == wanted
    assert quiet == {rule["alert"] for rule in ALERTS} - {"Watchdog"}


def test_every_recorded_series_is_asked_for_in_a_unit_test() -> None:
    asked = {
        name for test in UNIT_TESTS for case in test.get("promql_expr_test", []) for name in series_in(case["expr"])
    }
    assert set(RECORDS) - asked == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_read_only_series_that_exist(rule: dict[str, Any]) -> None:
    known = exported_series() | set(RECORDS) | {"up"}
    read = {name for text in texts_of(rule) for name in series_in(text)}
    assert read <= known


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_every_alert_says_what_it_means_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning", "info", "none")
    assert rule["labels"]["kind"] in ("presence", "health", "watchdog")
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"docs/monitoring.md#{rule['alert'].lower()}"
    assert f"\n### {rule['alert']}\n" in GUIDE


def test_every_recorded_series_is_explained_and_no_other() -> None:
    """Further operations of a series stand in its row by their last part alone."""
    explained: set[str] = set()
    for row in re.findall(r"^\| (`[^|]*:[^|]*`) \|", GUIDE, re.MULTILINE):
        first, *others = re.findall(r"`([^`]+)`", row)
        explained |= {first, *(f"{first.rpartition(':')[0]}:{other}" for other in others)}
    assert explained == set(RECORDS)


def test_alert_texts_name_no_series_that_is_not_asked_by_a_query() -> None:
    """What texts_of finds is all there is: else a series in a text would go unchecked."""
    for rule in ALERTS:
        mentioned = set(re.findall(r"seacanary_\w+", " ".join(rule["annotations"].values())))
        asked = {name for text in list(texts_of(rule))[1:] for name in series_in(text)}
        assert mentioned == asked
