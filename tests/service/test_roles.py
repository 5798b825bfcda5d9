"""A file is read as what it is: a station's, an edge's or a worker's. What makes no sense for a role is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.config import Configuration, StationConfig, parse_config, read_config
from seacanary.config_checks import ProcessRole
from seacanary.errors import ConfigError
from seacanary.roles import CONFIGURATIONS, read_any

STATION: dict[str, Any] = {
    "station": {"name": "pier-7"},
    "sources": [{"kind": "simulated", "hydrophones": ["north"]}],
}
EDGE: dict[str, Any] = STATION | {"kafka": {"bootstrap_servers": ["kafka-1:9092"]}, "edge": {"spool": "spool"}}
WORKER: dict[str, Any] = {"kafka": {"partitions": 4}, "worker": {"data": "data"}}
LINES = {"kind": "jsonl", "path": "events.jsonl"}


def refusal(tree: dict[str, Any], model: type[Configuration]) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(tree, where="file.yaml", model=model)
    return str(caught.value)


@pytest.mark.parametrize(
    ("tree", "role"),
    [
        (STATION, "station"),
        (EDGE, "edge"),
        (STATION | {"edge": {}}, "edge"),
        (WORKER, "worker"),
        ({"kafka": {}}, "worker"),
        ({"publishers": []}, "station"),
    ],
)
def test_a_file_is_known_by_its_sections(tree: dict[str, Any], role: ProcessRole, tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(yaml.safe_dump(tree))
    if role == "station" and "station" not in tree:
        with pytest.raises(ConfigError, match="station: missing"):
            read_any(file)
    else:
        assert type(read_any(file)) is CONFIGURATIONS[role]


def test_a_file_can_be_read_for_a_role_that_its_sections_do_not_tell(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(yaml.safe_dump(STATION))
    assert type(read_any(file)) is StationConfig
    assert type(read_any(file, "edge")) is EdgeConfig
    edge = read_config(file, model=EdgeConfig)
    assert edge.kafka.bootstrap_servers == ("127.0.0.1:9092",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"kafka": {"bootstrap_servers": ["kafka-1"]}},
            "kafka.bootstrap_servers.0: got 'kafka-1': a broker is HOST:PORT",
        ),
        ({"kafka": {"partition": 4}}, "kafka.partition: unknown field, got 4; did you mean partitions?"),
        (
            {"kafka": {"login": {"username": "u"}}},
            "kafka.login.password_file: got a value not shown here: give password",
        ),
        ({"worker": {"roles": ["judge"]}}, "worker.roles.0: got 'judge': Input should be 'infer'"),
        ({"worker": {"batch_image": 8}}, "worker.batch_image: unknown field, got 8; did you mean batch_images?"),
        ({"publishers": [{"kind": "mqtt"}]}, "publishers.0.kind: got 'mqtt', expected one of 'jsonl'"),
        ({"edge": {"spool_limit_bytes": 5}}, "edge.spool_limit_bytes: got 5: Input should be greater"),
    ],
)
def test_mistakes_in_every_role_are_told_alike(changes: dict[str, Any], message: str) -> None:
    if "edge" in changes:
        assert message in refusal(EDGE | changes, EdgeConfig)
    else:
        assert message in refusal(WORKER | changes, WorkerConfig)


def test_a_password_in_the_file_is_not_shown() -> None:
    login = {"username": "u", "password": "hunter2", "password_file": "too.many"}
    assert "hunter2" not in refusal(WORKER | {"kafka": {"login": login}}, WorkerConfig)


@pytest.mark.parametrize(
    ("tree", "model", "advice"),
    [
        (EDGE, StationConfig, "by its sections it is for `seacanary edge`; for `seacanary run`: 2 mistakes"),
        (WORKER, EdgeConfig, "by its sections it is for `seacanary worker`; for `seacanary edge`"),
        (STATION, WorkerConfig, "by its sections it is for `seacanary run`; for `seacanary worker`"),
    ],
)
def test_a_file_given_to_the_wrong_command_is_told_its_own(
    tree: dict[str, Any], model: type[Configuration], advice: str
) -> None:
    assert advice in refusal(tree, model)


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("publishers", [LINES]),
        ("alerts", {"rules": [{"name": "belugas"}]}),
        ("selftest", {}),
        ("delivery", {"batch": 3}),
    ],
)
def test_what_an_edge_would_never_do_is_refused_and_not_passed_over(section: str, value: object) -> None:
    assert f"{section}: an edge has none" in refusal(EDGE | {section: value}, EdgeConfig)


def test_the_rules_of_a_station_hold_at_the_edge() -> None:
    twice = {**STATION["sources"][0], "hydrophones": ["north", "north"]}
    assert "hydrophone names must be unique" in refusal(EDGE | {"sources": [twice]}, EdgeConfig)


@pytest.mark.parametrize(
    ("publishers", "message"),
    [
        ([LINES, LINES], "publishers.1.name: got 'jsonl': publisher names must be unique"),
        ([{**LINES, "name": "@alerts"}], "publishers.0.name: got '@alerts': names that begin with '@'"),
        ([{"kind": "kafka"}], "publishers.0.topic: got 'seacanary.events': topics that begin with kafka.topic_prefix"),
        (
            [{"kind": "notify", "url": "json://host"}],
            "publishers.0.events: got ['alerts']: a worker has presence and",
        ),
    ],
)
def test_a_workers_publishers_must_have_something_to_do_and_a_name(
    publishers: list[dict[str, Any]], message: str
) -> None:
    assert message in refusal(WORKER | {"publishers": publishers}, WorkerConfig)


def test_a_workers_publishers_may_do_what_makes_sense() -> None:
    publishers = [
        LINES,
        {"kind": "notify", "url": "json://host", "events": ["alerts", "conditions"]},
        {"kind": "kafka", "topic": "others.events"},
        {"kind": "kafka", "name": "far", "topic": "seacanary.elsewhere"},
    ]
    config = parse_config(WORKER | {"publishers": publishers[:3]}, where="w", model=WorkerConfig)
    assert [publisher.name for publisher in config.publishers] == ["jsonl", "notify", "kafka"]
    unprefixed = WORKER | {"kafka": {"topic_prefix": ""}, "publishers": publishers}
    assert len(parse_config(unprefixed, where="w", model=WorkerConfig).publishers) == 4
