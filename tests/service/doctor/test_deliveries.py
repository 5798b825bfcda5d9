"""Where publishers stand: who is new begins with what comes, and remedies are those that the role has."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from event_samples import event
from faulty_station import FaultyStation
from planted_faults import hook, jsonl, subject_of, with_events
from seacanary.cluster.section import WorkerSection
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.doctor.deliveries import deliveries
from seacanary.doctor.findings import Finding
from seacanary.doctor.subject import Running, Subject
from seacanary.journal_store import JournalStore
from seacanary.publishers.jsonl import JsonLinesSection

LONG_AGO_S = 3 * 86_400
NOTIFY = {"kind": "notify", "name": "people", "url": "json://127.0.0.1/"}


@pytest.mark.parametrize("section", [hook("https://example.org/hook"), NOTIFY])
@pytest.mark.parametrize("holds", [False, True])
def test_people_who_are_new_to_a_journal_begin_with_what_comes(
    section: dict[str, Any], holds: bool, station: FaultyStation
) -> None:
    with_events(station, entry_s=time.time() - LONG_AGO_S)
    subject = replace(subject_of(station, publishers=[section]), running=Running(holds=holds))
    (finding,) = deliveries(subject)
    assert finding.severity == "ok"
    assert "it begins with what comes next" in finding.seen


def test_a_store_that_is_new_to_a_journal_has_all_of_it_to_come(station: FaultyStation) -> None:
    with JournalStore.open(station.journal) as store:
        store.append([event(1), event(2)], states={}, done=(), now=lambda: time.time() - LONG_AGO_S)
    (finding,) = deliveries(subject_of(station, publishers=[jsonl(station)]))
    assert (finding.severity, finding.seen[:15]) == ("warning", "2 events wait, ")


def test_people_who_have_begun_and_lag_are_told_of(station: FaultyStation) -> None:
    with JournalStore.open(station.journal) as store:
        store.begin(["hook"])
        store.append([event(1)], states={}, done=(), now=lambda: time.time() - LONG_AGO_S)
    (finding,) = deliveries(subject_of(station, publishers=[hook("https://example.org/hook")]))
    assert finding.severity == "warning"


def at_a_worker(folder: Path, *, delivered: int, dead: bool = False) -> list[Finding]:
    """What is told of a worker whose journal holds two events."""
    section = WorkerSection(data=folder)
    with JournalStore.open(section.journal) as store:
        entries = store.append([event(1), event(2)], states={}, done=(), now=lambda: time.time() - LONG_AGO_S)
        store.move_cursor("jsonl", delivered)
        if dead:
            store.dead_letter("jsonl", entries[1], "404 Not Found")
    publishers = (JsonLinesSection(path=folder / "events.jsonl"),)
    return list(deliveries(Subject(config=WorkerConfig(worker=section, publishers=publishers))))


def test_a_worker_is_sent_to_no_command_that_refuses_its_file(tmp_path: Path) -> None:
    refused = at_a_worker(tmp_path, delivered=1, dead=True)[0]
    assert "refused for good" in refused.seen
    assert "worker's log" in refused.remedy
    assert "seacanary webhooks" not in refused.remedy


def test_a_worker_that_is_not_running_is_the_one_to_start(tmp_path: Path) -> None:
    (lag,) = at_a_worker(tmp_path, delivered=1)
    assert "start the worker" in lag.remedy


def test_a_workers_journal_that_is_behind_its_cursor_is_filled_from_the_topic(tmp_path: Path) -> None:
    assert [finding.severity for finding in at_a_worker(tmp_path, delivered=7)] == ["ok"]


def test_a_stations_journal_that_is_behind_its_cursor_is_told_of(station: FaultyStation) -> None:
    with_events(station, entry_s=time.time())
    with JournalStore.open(station.journal) as store:
        store.move_cursor("jsonl", 7)
    finding = next(iter(deliveries(subject_of(station, publishers=[jsonl(station)]))))
    assert finding.severity == "broken"
    assert "seacanary events replay" in finding.remedy
