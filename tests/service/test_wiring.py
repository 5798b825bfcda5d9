"""Wiring: what a configuration's sections come to."""

from pathlib import Path

from seacanary.config import StationConfig, parse_config
from seacanary.wiring import newcomers, review_links

SOURCES = [{"kind": "simulated", "hydrophones": ["north"]}]


def config(folder: Path, **sections: object) -> StationConfig:
    journal = {"path": str(folder / "journal.db")}
    tree = {"station": {"name": "test"}, "sources": SOURCES, "journal": journal, **sections}
    return parse_config(tree, where="test")


def test_stores_of_events_get_the_whole_journal_and_people_what_comes_once_they_are_there(tmp_path: Path) -> None:
    publishers = [
        {"kind": "jsonl", "path": str(tmp_path / "events.jsonl")},
        {"kind": "redis_streams", "url": "redis://localhost"},
        {"kind": "notify", "name": "pager", "url": "json://localhost"},
        {"kind": "webhook", "name": "hook", "url": "https://example.org/", "secret": "whsec_" + "A" * 32},
    ]
    assert newcomers(config(tmp_path, publishers=publishers)) == ["pager", "hook"]
    evidence = {"path": str(tmp_path / "evidence")}
    assert newcomers(config(tmp_path, evidence=evidence)) == ["@evidence", "@evidence_extras"]


def test_links_are_given_out_only_where_pages_are_served(tmp_path: Path) -> None:
    served = {"public_url": "https://canary.example.org"}
    assert review_links(config(tmp_path)) is None
    assert review_links(config(tmp_path, web=served | {"enabled": False})) is None
    assert review_links(config(tmp_path, web=served)) is not None
