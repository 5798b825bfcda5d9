"""Faults of the journal and of destinations, planted in a station that has none: each is found, its remedy named.

Those that need a real server are in tests/system/test_doctor.py.
"""

import socket
import sqlite3
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from faulty_station import FaultyStation, wrong
from planted_faults import Faults, certificate, hook, jsonl, run_of, subject_of, with_events
from redis_server import free_port
from seacanary.cluster.fleet_store import FleetStore
from seacanary.cluster.section import WorkerSection
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.doctor.deliveries import deliveries
from seacanary.doctor.findings import Finding
from seacanary.doctor.journal import journals
from seacanary.doctor.subject import Subject
from webhook_receiver import Receiver

FAULTS = Faults()
fault = FAULTS.fault


@fault("broken", seen="Connection refused", remedy="redis-cli ping")
def redis_that_is_away(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    return station.found(publishers=[{"kind": "redis_streams", "url": f"redis://127.0.0.1:{free_port()}"}])


@fault("broken", seen="ClusterUnreachable|KafkaConnectionError|Unable to bootstrap", remedy="bootstrap_servers")
def kafka_that_is_away(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    pytest.importorskip("aiokafka")
    brokers = {"bootstrap_servers": [f"127.0.0.1:{free_port()}"]}
    return station.found(publishers=[{"kind": "kafka", "kafka": brokers}])


@fault("broken", seen="Connection refused", remedy="whether the receiver runs")
def webhook_that_nobody_answers(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    return station.found(publishers=[hook(f"http://127.0.0.1:{free_port()}/")])


@fault("broken", seen="certificate is refused: self-signed certificate", remedy="ca_file")
def certificate_that_nobody_signed(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    with Receiver(tls=certificate(station.folder)) as receiver:
        return station.found(publishers=[hook(receiver.url)])


@fault("broken", seen="cannot be resolved", remedy="correct the host")
def name_that_there_is_not(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    return station.found(publishers=[hook("https://nowhere.invalid/")])


@fault("broken", seen="loopback", remedy="allow_private_networks")
def webhook_into_its_own_network(station: FaultyStation, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    return station.found(publishers=[{**hook("https://example.org/"), "allow_private_networks": False}])


@fault("broken", seen="a test message was not taken", remedy="tokens, addresses and rights")
def channel_that_takes_nothing(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    return station.found(send=True, publishers=[{"kind": "notify", "url": f"json://127.0.0.1:{free_port()}"}])


@fault("broken", seen="is damaged", remedy=".recover")
def journal_with_a_hole(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    path = with_events(station, entry_s=time.time())
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
    return station.found()


@fault(
    "broken", seen=r"journal of version 999, but this seacanary \(.+\) knows up to \d+", remedy="newer version again"
)
def journal_of_a_newer_version(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    with sqlite3.connect(with_events(station, entry_s=time.time())) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    return station.found()


@fault("broken", seen="this SQLite file is not a seacanary journal", remedy="another path")
def journal_that_is_none(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    station.journal.parent.mkdir()
    with sqlite3.connect(station.journal) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    return station.found()


@fault(
    "broken",
    seen=r"hours.db: file of hours of version 999, but this seacanary \(.+\) knows up to \d+",
    remedy="newer version again",
)
def hours_of_a_newer_version(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    section = WorkerSection(data=station.folder)
    FleetStore.open(section.hours).close()
    with sqlite3.connect(section.hours) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    return list(journals(Subject(config=WorkerConfig(worker=section))))


@fault("broken", seen=r"1 events wait, the oldest for 3 days.*timed out", remedy="go out by themselves")
def publisher_that_lags(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    with_events(station, entry_s=time.time() - 3 * 86_400)
    subject = subject_of(station, publishers=[jsonl(station)])
    return list(deliveries(replace(subject, running=run_of(subject, publishers={"jsonl": {"trouble": "timed out"}}))))


@fault("warning", seen="1 events were refused for good", remedy="webhooks deadletters list")
def dead_letters(station: FaultyStation, _: pytest.MonkeyPatch) -> list[Finding]:
    with_events(station, entry_s=time.time(), dead=True)
    return station.found(publishers=[jsonl(station)])


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_its_remedy_named(
    name: str, station: FaultyStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    FAULTS.check(name, station, monkeypatch)


def test_events_that_wait_while_nothing_runs_are_no_fault(station: FaultyStation) -> None:
    with_events(station, entry_s=datetime.now(UTC).timestamp() - 60)
    assert wrong(station.found(publishers=[jsonl(station)])) == []
