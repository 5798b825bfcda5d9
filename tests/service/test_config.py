from pathlib import Path
from typing import Any

import pytest
import yaml

from fakes import tiny_contract
from seacanary.alerts import engine
from seacanary.config import check_against_model, parse_config, read_config
from seacanary.config_checks import OURS
from seacanary.errors import ConfigError
from seacanary.evidence import consumer, extras

GOOD: dict[str, Any] = {
    "station": {"name": "pier-7", "latitude": 48.1, "longitude": -69.7},
    "sources": [
        {"kind": "simulated", "hydrophones": ["north", "south"]},
        {"kind": "files", "path": "recordings", "name": "archive"},
    ],
    "publishers": [{"kind": "jsonl", "path": "events.jsonl"}],
}


def with_change(*path: str | int, value: object) -> dict[str, Any]:
    """GOOD with one value replaced, added, or (value None) removed."""
    tree = yaml.safe_load(yaml.safe_dump(GOOD))
    here = tree
    for step in path[:-1]:
        here = here.setdefault(step, {}) if isinstance(here, dict) else here[step]
    if value is None:
        del here[path[-1]]
    else:
        here[path[-1]] = value
    return tree


MISTAKES = [
    (("station",), None, r"station: missing; it is required"),
    (("station", "name"), "", r"station\.name: got '': .*at least 1 character"),
    (("station", "name"), "pier 7", r"station\.name: got 'pier 7': .*pattern.*letters, digits"),
    (("station", "latitude"), 91, r"station\.latitude: got 91: .*less than or equal to 90.*degrees north"),
    (("station", "lattitude"), 48, r"station\.lattitude: unknown field, got 48; did you mean latitude\?"),
    (("sources",), [], r"sources: got \[\]: .*at least 1 item"),
    (("sources", 0, "kind"), "sonobuoy", r"sources\.0\.kind: got 'sonobuoy', expected one of 'soundcard', 'alsa', 'files'"),
    (("sources", 0, "kind"), None, r"sources\.0: kind is missing; expected one of 'soundcard', 'alsa'"),
    (("sources", 0, "sample_rate_hz"), 9_600_000, r"sources\.0\.sample_rate_hz: got 9600000: .*less than or equal to 576000"),
    (("sources", 0, "pace"), "quick", r"sources\.0\.pace: got 'quick': .*'realtime' or 'fast'"),
    (("sources", 0, "scene"), {"seed": -1}, r"sources\.0\.scene\.seed: got -1: .*greater than or equal to 0"),
    (("sources", 1, "path"), None, r"sources\.1\.path: missing; it is required \(a sound file, or a folder"),
    (("sources", 1, "settle"), 3, r"sources\.1\.settle: unknown field, got 3; did you mean settle_s\?"),
    (("sources", 1, "start"), "yesterday", r"sources\.1\.start: got 'yesterday': .*datetime"),
    (("sources", 1, "hydrophones"), ["north"], r"hydrophone names must be unique in a station; used twice: north"),
    (("supervision", "stall_s"), 0, r"supervision\.stall_s: got 0: .*greater than 0"),
    (("model", "providers"), ["gpu"], r"model\.providers\.0: got 'gpu': .*'cpu', 'cuda' or 'tensorrt'"),
    (("presence", "rule", "hold_s"), "long", r"presence\.rule\.hold_s: got 'long': .*valid number"),
    (("presence", "rule", "k"), 9, r"presence\.rule: got .*k \(9\) must not exceed n \(6\)"),
    (("presence", "thresholds"), {"whistle": {"enter": 0.2, "leave": 0.5}}, r"presence\.thresholds\.whistle: got .*leave \(0\.5\) must be below enter"),
    (("batching", "max_windows"), 0, r"batching\.max_windows: got 0: .*greater than or equal to 1"),
    (("publishers", 0, "path"), None, r"publishers\.0\.path: missing"),
    (("publishers", 0, "kind"), "mqtt", r"publishers\.0\.kind: got 'mqtt', expected one of 'jsonl', 'redis_streams'"),
    (("metrics", "port"), 70000, r"metrics\.port: got 70000: .*less than or equal to 65535"),
    (("journal", "path"), 7, r"journal\.path: got 7: .*path"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "message"), MISTAKES)
def test_each_mistake_names_the_path_the_value_and_what_would_be_right(
    path: tuple[str | int, ...], value: object, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(with_change(*path, value=value), where="station.yaml")


def test_every_mistake_of_a_file_is_reported_at_once() -> None:
    tree = with_change("metrics", "port", value=-1)
    tree["station"]["latitude"] = 200
    with pytest.raises(ConfigError, match=r"(?s)2 mistakes.*station\.latitude.*metrics\.port"):
        parse_config(tree, where="station.yaml")


def test_a_good_file_is_read_and_variables_come_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "station.yaml"
    file.write_text(yaml.safe_dump(with_change("station", "name", value="${SITE}-1")))
    assert read_config(file, {"SITE": "tadoussac"}).station.name == "tadoussac-1"


def test_an_unset_variable_is_named(tmp_path: Path) -> None:
    file = tmp_path / "station.yaml"
    file.write_text(yaml.safe_dump(with_change("station", "name", value="${SITE}")))
    with pytest.raises(ConfigError, match=r"station\.name: environment variable SITE is not set"):
        read_config(file, {})


def test_secrets_are_not_shown() -> None:
    tree = with_change("publishers", value=[{"kind": "redis_streams", "url": "gopher://user:hunter2@host"}])
    with pytest.raises(ConfigError) as caught:
        parse_config(tree, where="station.yaml")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping"),
        ("a: [1", "not valid YAML"),
        ("- 1", "expected a mapping"),
        ("\xff", "cannot be read"),
    ],
)
def test_what_is_no_configuration_at_all_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "station.yaml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=message):
        read_config(file, {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        read_config(tmp_path / "nowhere.yaml", {})


RULE = {"name": "beluga-watch"}
WEBHOOK = {"kind": "notify", "name": "people", "url": "json://localhost"}

CONTRADICTIONS = [
    ({"alerts": {"rules": [RULE]}, "publishers": [{**WEBHOOK, "rules": ["beluga-wach"]}]},
     r"publishers\.0\.rules\.0: got 'beluga-wach': alerts\.rules has no such rule; did you mean beluga-watch\?"),
    ({"publishers": [{**WEBHOOK, "rules": ["any"]}]},
     r"publishers\.0\.rules\.0: got 'any': alerts\.rules has no such rule; there are none"),
    ({"alerts": {"rules": [{**RULE, "hydrophones": ["north", "suoth"]}]}},
     r"alerts\.rules\.0\.hydrophones\.1: got 'suoth': no source has such a hydrophone; did you mean south\?"),
    ({"alerts": {"rules": [{**RULE, "hydrophones": ["x"]}]}},
     r"alerts\.rules\.0\.hydrophones\.0: got 'x': .*; known are north, south, archive"),
    ({"publishers": [{"kind": "jsonl", "name": "@alerts", "path": "x.jsonl"}]},
     r"publishers\.0\.name: got '@alerts': names that begin with '@' .*choose another"),
    ({"publishers": [WEBHOOK, WEBHOOK]}, r"1 mistake\n  publisher names must be unique in a station; used twice: people"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), CONTRADICTIONS)
def test_what_one_section_says_of_another_must_be_there(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(GOOD | changes, where="station.yaml")


def test_the_stations_own_readers_share_no_cursor_with_a_publisher_called_alerts_or_evidence() -> None:
    own = (engine.CURSOR, consumer.CURSOR, extras.CURSOR)
    assert all(cursor.startswith(OURS) for cursor in own)
    assert len(set(own)) == len(own)


def test_rules_may_name_any_hydrophone_and_the_numbered_channels_of_recordings() -> None:
    rules = [{**RULE, "hydrophones": ["south", "archive", "archive-ch2"]}]
    config = parse_config(GOOD | {"alerts": {"rules": rules}}, where="station.yaml")
    assert config.alerts.rules[0].hydrophones[-1] == "archive-ch2"


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"species": ["belgua"]}, r"alerts\.rules\.0\.species\.0: got 'belgua': the model does not know .*mean beluga"),
        ({"call_types": ["song"]}, r"alerts\.rules\.0\.call_types\.0: got 'song': .*known are whistle, porpoise_click"),
    ],
)
def test_rules_about_what_the_model_does_not_know_are_refused(field: dict[str, Any], message: str) -> None:
    config = parse_config(GOOD | {"alerts": {"rules": [RULE | field]}}, where="station.yaml")
    with pytest.raises(ConfigError, match=message):
        check_against_model(config, tiny_contract())


def test_a_fault_of_yaml_does_not_quote_the_line_it_is_in(tmp_path: Path) -> None:
    file = tmp_path / "station.yaml"
    file.write_text("station: {name: x}\npublishers:\n  - url: 'slack://hunter2\n")
    with pytest.raises(ConfigError, match=r"not valid YAML: line \d+, column \d+: ") as caught:
        read_config(file, {})
    assert "hunter2" not in str(caught.value)


def test_thresholds_of_unknown_call_types_are_refused_against_the_model() -> None:
    config = parse_config(
        with_change("presence", "thresholds", value={"song": {"enter": 0.5, "leave": 0.2}}), where="x"
    )
    with pytest.raises(ConfigError, match=r"presence\.thresholds\.song: .*it knows whistle, porpoise_click"):
        check_against_model(config, tiny_contract())
