from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiokafka.errors import KafkaError, NotControllerError, TopicAuthorizationFailedError  # type: ignore[import-untyped]  # it ships no types

from seacanary.cluster.envelope import EdgeClock, ImageEnvelope
from seacanary.cluster.envelope_codec import encode
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.topics import (
    CURSORS,
    DEAD_LETTERS,
    DETECTIONS,
    EVENTS,
    HOURS,
    IMAGES,
    Topic,
    TopicsRefused,
    _create,
    topics,
)


def by_name(section: KafkaSection) -> dict[str, Topic]:
    return {topic.name.removeprefix(section.topic_prefix): topic for topic in topics(section)}


def test_what_follows_a_hydrophone_has_one_partition_count() -> None:
    table = by_name(KafkaSection(partitions=24, topic_prefix="trial."))
    assert table.keys() == {IMAGES, DETECTIONS, EVENTS, HOURS, CURSORS, DEAD_LETTERS}
    assert table[IMAGES].partitions == table[DETECTIONS].partitions == 24
    assert all(topic.name.startswith("trial.") for topic in table.values())


def test_events_have_one_order_and_are_never_deleted() -> None:
    events = by_name(KafkaSection())[EVENTS]
    assert events.partitions == 1
    assert events.settings["cleanup.policy"] == "delete"
    assert events.settings["retention.ms"] == "-1"


def test_retention_is_as_configured() -> None:
    table = by_name(KafkaSection(images_kept_h=0.5, detections_kept_h=2, dead_letters_kept_days=1))
    kept = {name: topic.settings.get("retention.ms") for name, topic in table.items()}
    assert kept == {
        **{IMAGES: "1800000", DETECTIONS: "7200000", EVENTS: "-1", DEAD_LETTERS: "86400000"},
        **{HOURS: None, CURSORS: None},
    }
    assert {table[name].settings["cleanup.policy"] for name in (HOURS, CURSORS)} == {"compact"}


def test_all_times_are_the_brokers() -> None:
    assert {topic.settings["message.timestamp.type"] for topic in topics(KafkaSection())} == {"LogAppendTime"}


def test_a_write_is_held_by_two_where_there_are_three() -> None:
    for replication, least in ((1, "1"), (2, "1"), (3, "2"), (5, "2")):
        section = KafkaSection(replication=replication)
        assert {topic.settings["min.insync.replicas"] for topic in topics(section)} == {least}
        assert {topic.replication for topic in topics(section)} == {replication}


def test_the_largest_image_fits_into_a_record() -> None:
    now, name = datetime(2026, 1, 1, tzinfo=UTC), "ä" * 64
    noise = np.random.default_rng(7).integers(0, 256, (256, 256), np.uint8)
    envelope = ImageEnvelope(
        station=name,
        run=now,
        number=2**53,
        hydrophone=name,
        contract_sha256="f" * 64,
        epoch=now,
        first_sample=2**53,
        end_sample=2**53 + 393_216,
        sample_rate_hz=384_000,
        start=now,
        missing_fraction=1 / 3,
        clipped_fraction=1 / 3,
        source_file="/recordings/" + "ä" * 4000,
        image=noise,
        clock=EdgeClock(synchronised=True, maximum_error_s=1 / 3, broker_ahead_s=1 / 3),
    )
    record = encode(envelope)
    assert len(record) > noise.size
    images = by_name(KafkaSection())[IMAGES]
    assert 2 * len(record) < int(images.settings["max.message.bytes"])


@pytest.mark.parametrize(
    ("error", "raised"), [(NotControllerError, KafkaError), (TopicAuthorizationFailedError, TopicsRefused)]
)
async def test_brokers_that_are_only_busy_refuse_no_topic_for_good(
    error: type[KafkaError], raised: type[Exception]
) -> None:
    """A supervisor does not start a worker again whose topics are refused."""
    (images, *_) = topics(KafkaSection())

    class Admin:
        async def create_topics(self, _: Any) -> Any:
            return SimpleNamespace(topic_errors=[(images.name, error.errno, "says the broker")])

    with pytest.raises(raised, match=f"{images.name}.*says the broker"):
        await _create(Admin(), [images])
