"""What an edge has of a station's configuration, and what it refuses."""

from pathlib import Path

import pytest

from seacanary.cluster.edge_config import EdgeConfig
from seacanary.config import parse_config
from seacanary.errors import ConfigError

TREE = {"station": {"name": "pier"}, "sources": [{"kind": "simulated", "hydrophones": ["north"]}]}


def parsed(**sections: object) -> EdgeConfig:
    return parse_config(TREE | sections, where="edge.yaml", model=EdgeConfig)


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ({"publishers": [{"kind": "jsonl", "name": "lines", "path": "x"}]}, "publishers: an edge has none; workers"),
        ({"alerts": {"rules": [{"name": "any", "species": ["beluga"]}]}}, "alerts: an edge has none; they are made"),
        ({"delivery": {}}, "delivery: an edge has none"),
        ({"selftest": {}}, "selftest: an edge has none; it needs M"),
        ({"effort": {}}, "effort: an edge has none; workers listen"),
        ({"web": {"review_secret": "a key for tests only"}}, "web.review_secret: an edge has none; links"),
        ({"web": {"links_last_s": 60}}, "web.links_last_s: an edge has none; links"),
    ],
)
def test_what_workers_do_is_refused_with_where_it_belongs(section: dict[str, object], path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        parsed(**section)


def test_what_only_an_edge_can_do_is_taken() -> None:
    config = parsed(evidence={}, retention={}, archive={"path": "a"}, quality={"enabled": True}, web={"port": 0})
    assert config.evidence is not None


def test_audio_stays_as_long_as_the_spool_has_room_unless_told_otherwise() -> None:
    whole = parsed(evidence={"spool": {"max_bytes": 1 << 30}}).with_edge_defaults()
    assert whole.evidence is not None
    assert whole.evidence.spool.older_bytes == 1 << 30
    told = parsed(evidence={"spool": {"older_bytes": 0}}).with_edge_defaults()
    assert told.evidence is not None
    assert told.evidence.spool.older_bytes == 0


def test_the_journal_lies_with_the_spool_unless_told_otherwise() -> None:
    assert parsed(edge={"spool": "here"}).with_edge_defaults().journal.path == Path("here/journal.db")
    assert parsed(journal={"path": "there.db"}).with_edge_defaults().journal.path == Path("there.db")
