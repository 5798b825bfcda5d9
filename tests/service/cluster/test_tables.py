"""HydrophoneTable: what a machine's disk is believed to hold of the changelog."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from fakes import EPOCH
from seacanary.cluster.app import hydrophone_table, make_app
from seacanary.cluster.section import KafkaSection, WorkerSection
from seacanary.cluster.state import Concluded, TrackState
from seacanary.cluster.tables import HydrophoneTable

CHANGELOG = TP("changelog", 2)


@dataclass
class Disk:
    """Stands in for RocksDB."""

    reached: dict[TP, int] = field(default_factory=dict)
    states: dict[bytes, bytes] = field(default_factory=dict)

    def persisted_offset(self, tp: TP) -> int | None:
        return self.reached.get(tp)

    def set_persisted_offset(self, tp: TP, offset: int) -> None:
        self.reached[tp] = offset

    def get(self, key: bytes) -> bytes | None:
        return self.states.get(key)

    def apply_changelog_batch(self, batch: list[Any], **_: Any) -> None:
        for event in batch:
            self.states[event.message.key] = event.message.value
            self.reached[event.message.tp] = event.message.offset


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def table(disk: Disk) -> HydrophoneTable:
    kafka = KafkaSection()
    table = hydrophone_table(make_app(kafka, WorkerSection()), kafka)
    table._data = disk  # type: ignore[assignment]  # as much of a store as is asked for
    return table


def sent(offset: int) -> Any:
    """A write that the brokers have acknowledged."""
    return SimpleNamespace(result=lambda: SimpleNamespace(topic_partition=CHANGELOG, offset=offset))


def state(number: int) -> bytes:
    return TrackState(concluded=(Concluded(run=EPOCH, number=number),)).encoded()


def read(offset: int, number: int) -> Any:
    """A record of the changelog with the state after an envelope."""
    return SimpleNamespace(message=SimpleNamespace(tp=CHANGELOG, offset=offset, key=b"h", value=state(number)))


def test_our_own_writes_are_known_one_after_another(table: HydrophoneTable, disk: Disk) -> None:
    for offset in range(3):
        table._on_changelog_sent(sent(offset))
    assert disk.reached == {CHANGELOG: 2}


def test_a_late_write_does_not_hide_what_others_have_written(table: HydrophoneTable, disk: Disk) -> None:
    table._on_changelog_sent(sent(0))
    table._on_changelog_sent(sent(900))
    table._on_changelog_sent(sent(901))
    assert disk.reached == {CHANGELOG: 0}


def test_what_was_read_counts_and_what_a_disk_has_from_before(table: HydrophoneTable, disk: Disk) -> None:
    disk.reached[CHANGELOG] = 40
    table._on_changelog_sent(sent(41))
    table.apply_changelog_batch([read(offset, offset) for offset in range(42, 50)])
    table._on_changelog_sent(sent(50))
    assert disk.reached == {CHANGELOG: 50}


def test_a_state_of_before_is_not_restored_but_counts_as_read(table: HydrophoneTable, disk: Disk) -> None:
    table.apply_changelog_batch([read(0, 8), read(1, 5)])
    assert disk.states == {b"h": state(8)}
    table._on_changelog_sent(sent(2))
    assert disk.reached == {CHANGELOG: 2}
