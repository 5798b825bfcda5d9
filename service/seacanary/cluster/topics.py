"""The topics: one table of what they must be, made before any worker starts, and checked.

A worker that starts before its topic exists never sees it, and a broker that makes topics by
itself makes them with partitions of its own choosing: so nothing else may make them.
All times are the brokers' (LogAppendTime): an edge whose clock is wrong, or that drains hours
of spool, can then neither be refused for its timestamps nor age what it sends. The time of a
record in `events` is its time in every journal made from it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from aiokafka.admin import (  # type: ignore[import-untyped]  # it ships no types
    AIOKafkaAdminClient,
    NewTopic,
)
from aiokafka.admin.config_resource import (  # type: ignore[import-untyped]
    ConfigResource,
    ConfigResourceType,
)
from aiokafka.errors import (  # type: ignore[import-untyped]
    InvalidReplicationFactorError,
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)

from seacanary.cluster.section import KafkaSection
from seacanary.errors import ConfigError, SeaCanaryError
from seacanary.kafka_clients import client_options, in_words

IMAGES, DETECTIONS, EVENTS = "images", "detections", "events"
HOURS, CURSORS, DEAD_LETTERS = "hours", "cursors", "deadletters"

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
FOREVER_MS = -1
KIB = 1024
# The header of an envelope with its image of 64 KiB, which deflate lengthens by no more than 0.1 %: four times over.
IMAGE_BYTES = 256 * KIB
# A refused record is kept whole, with headers that say why.
LETTER_BYTES = 4 * IMAGE_BYTES

# Without these, records are refused, lost or out of order: a topic that differs is not used.
_BINDING = ("cleanup.policy", "message.timestamp.type")
_READY_WAIT_S = 0.2

log = logging.getLogger(__name__)


class TopicsRefused(ConfigError):
    """The topics cannot be used as they are, or not be made as configured."""


class ClusterUnreachable(SeaCanaryError):
    """No broker can be asked now; trying again may help."""

    may_pass = True


@dataclass(frozen=True, slots=True)
class Topic:
    """What a topic must be.

    Attributes:
        name: in full, with its prefix.
        partitions: exactly.
        replication: brokers that hold each record.
        settings: of the topic, as Kafka names and writes them.
    """

    name: str
    partitions: int
    replication: int
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Topics as they are against what they must be, each difference as a sentence.

    Attributes:
        faults: a process does not start with these.
        notes: these lose nothing.
        missing: names of topics that are not there.
    """

    faults: tuple[str, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...] = ()


def topics(section: KafkaSection) -> tuple[Topic, ...]:
    """Every topic that edges and workers share."""
    images_ms, detections_ms = round(section.images_kept_h * HOUR_MS), round(section.detections_kept_h * HOUR_MS)
    letters_ms = round(section.dead_letters_kept_days * DAY_MS)
    by_hydrophone = section.partitions
    table = (
        # name, partitions, kept, largest record
        (IMAGES, by_hydrophone, images_ms, IMAGE_BYTES),
        (DETECTIONS, by_hydrophone, detections_ms, IMAGE_BYTES),
        # One partition is one order for all, and from its beginning a lost journal is made again.
        (EVENTS, 1, FOREVER_MS, IMAGE_BYTES),
        (DEAD_LETTERS, 1, letters_ms, LETTER_BYTES),
    )
    kept = [
        _topic(section, name, partitions, {"cleanup.policy": "delete", "retention.ms": str(ms), **_largest(size)})
        for name, partitions, ms, size in table
    ]
    # Of the parts of an hour, and of how far publishers have come, the newest of each key alone counts.
    newest = [
        _topic(section, name, 1, {"cleanup.policy": "compact", **_largest(IMAGE_BYTES)}) for name in (HOURS, CURSORS)
    ]
    return (*kept, *newest)


def changelog(section: KafkaSection, name: str, settings: Mapping[str, str]) -> Topic:
    """The changelog of a Table, which follows images by hydrophone. Faust would make it too, and not wait for it:
    a worker whose brokers do not know it yet would begin without.
    """
    return _topic(section, name, section.partitions, {"cleanup.policy": "compact", **_largest(IMAGE_BYTES), **settings})


def _largest(size_bytes: int) -> dict[str, str]:
    return {"max.message.bytes": str(size_bytes)}


def _topic(section: KafkaSection, name: str, partitions: int, settings: Mapping[str, str]) -> Topic:
    always = {
        "message.timestamp.type": "LogAppendTime",
        # What is acknowledged outlives one broker, where there are brokers enough.
        "min.insync.replicas": str(2 if section.replication > 2 else 1),
        "compression.type": "producer",
    }
    return Topic(section.topic(name), partitions, section.replication, {**always, **settings})


async def make_topics(section: KafkaSection, *more: Topic) -> tuple[str, ...]:
    """Make the topics that are missing and check the others; return once every partition has a leader.

    Several processes may do this at once.

    Args:
        section: which Kafka.
        more: topics beside those that all share.

    Returns:
        In words, where a topic differs from what is configured in a way that loses nothing.

    Raises:
        TopicsRefused: a topic has other partitions or works otherwise, or cannot be made as configured.
        ClusterUnreachable: no broker answers, or it does not let this user do it.
    """
    wanted = (*topics(section), *more)
    async with _admin(section) as admin:
        missing = [topic for topic in wanted if topic.name not in await _existing(admin)]
        if missing:
            await _create(admin, missing)
        existing = await _led(admin, wanted, timeout_s=section.request_timeout_s)
        compared = await _compared(admin, wanted, existing)
    if compared.faults:
        raise TopicsRefused("; ".join(compared.faults))
    return compared.notes


async def compare_topics(section: KafkaSection) -> Comparison:
    """Compare the topics there are with what they must be; makes and changes nothing.

    Raises:
        ConfigError: a password, certificate or key cannot be read.
        ClusterUnreachable: no broker answers, or it does not let this user do it.
    """
    wanted = topics(section)
    async with _admin(section) as admin:
        existing = await _existing(admin)
        missing = tuple(topic.name for topic in wanted if topic.name not in existing)
        compared = await _compared(admin, [topic for topic in wanted if topic.name in existing], existing)
    return replace(compared, missing=missing)


async def existing_topics(section: KafkaSection) -> dict[str, int]:
    """How many partitions each topic there has.

    Raises:
        ConfigError: a password, certificate or key cannot be read.
        ClusterUnreachable: no broker answers, or it does not let this user do it.
    """
    async with _admin(section) as admin:
        return {name: len(partitions) for name, partitions in (await _existing(admin)).items()}


async def _compared(
    admin: AIOKafkaAdminClient, wanted: Sequence[Topic], existing: Mapping[str, list[dict[str, Any]]]
) -> Comparison:
    """Topics that are there."""
    settings = await _settings(admin, wanted) if wanted else {}
    faults = _partition_faults(wanted, existing)
    faults += [fault for topic in wanted for fault in _binding_faults(topic, settings[topic.name])]
    notes = [note for topic in wanted for note in _notes(topic, settings[topic.name], existing[topic.name])]
    return Comparison(tuple(faults), tuple(notes))


@asynccontextmanager
async def _admin(section: KafkaSection) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected admin client; what goes wrong with the brokers in there becomes ClusterUnreachable."""
    admin = AIOKafkaAdminClient(**client_options(section))
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError, TimeoutError) as exc:
        raise ClusterUnreachable(f"{section.place}: {in_words(exc)}") from exc
    finally:
        await admin.close()


async def _existing(admin: AIOKafkaAdminClient) -> dict[str, list[dict[str, Any]]]:
    """Partitions by topic. All are asked for, as to ask for one by name may make it."""
    found = await admin.describe_topics()
    return {topic["topic"]: topic["partitions"] for topic in found if topic["error_code"] == 0}


async def _create(admin: AIOKafkaAdminClient, missing: Sequence[Topic]) -> None:
    new = [
        NewTopic(topic.name, topic.partitions, topic.replication, topic_configs=dict(topic.settings))
        for topic in missing
    ]
    answer = await admin.create_topics(new)
    for name, code, *words in answer.topic_errors:
        error = for_code(code)
        if error is InvalidReplicationFactorError:
            raise TopicsRefused(f"topic {name}: replication {missing[0].replication} is more than there are brokers")
        if code and error.retriable:
            raise error(f"topic {name}: {words[0] if words else ''}")
        if code and error is not TopicAlreadyExistsError:
            raise TopicsRefused(f"topic {name} cannot be made: {error.__name__} {words[0] if words else ''}".rstrip())
        log.info("topic %s made", name)


async def _led(
    admin: AIOKafkaAdminClient, wanted: Sequence[Topic], *, timeout_s: float
) -> dict[str, list[dict[str, Any]]]:
    """Wait until all brokers know the topics, and each partition has a leader."""
    async with asyncio.timeout(timeout_s):
        while True:
            existing = await _existing(admin)
            partitions = [p for topic in wanted for p in existing.get(topic.name, [{"leader": -1}])]
            if all(partition["leader"] >= 0 for partition in partitions):
                return existing
            await asyncio.sleep(_READY_WAIT_S)


def _partition_faults(wanted: Sequence[Topic], existing: Mapping[str, Sequence[object]]) -> list[str]:
    return [
        f"topic {topic.name} has {len(existing[topic.name])} partitions and must have {topic.partitions}: configure "
        "what is there, or choose another topic_prefix; partitions cannot be changed without mixing up hydrophones"
        for topic in wanted
        if len(existing[topic.name]) != topic.partitions
    ]


async def _settings(admin: AIOKafkaAdminClient, wanted: Sequence[Topic]) -> dict[str, dict[str, str]]:
    """What each topic is set to, by topic and name of the setting."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in wanted]
    answers = await admin.describe_configs(resources)
    found: dict[str, dict[str, str]] = {}
    for code, words, _, name, entries in (resource for answer in answers for resource in answer.resources):
        if code:
            raise for_code(code)(f"{name}: {words}")
        found[name] = {entry[0]: entry[1] for entry in entries}
    return found


def _binding_faults(topic: Topic, settings: Mapping[str, str]) -> list[str]:
    faults = [
        f"topic {topic.name}: {name} is {settings[name]} and must be {topic.settings[name]}"
        for name in _BINDING
        if settings[name] != topic.settings[name]
    ]
    if int(settings["max.message.bytes"]) < int(topic.settings["max.message.bytes"]):
        faults.append(
            f"topic {topic.name}: max.message.bytes is {settings['max.message.bytes']} and must be "
            f"{topic.settings['max.message.bytes']} or more"
        )
    return faults


def _notes(topic: Topic, settings: Mapping[str, str], partitions: Sequence[Mapping[str, Any]]) -> list[str]:
    notes = [
        f"topic {topic.name}: {name} is {settings[name]}, configured is {value}"
        for name, value in topic.settings.items()
        if name not in (*_BINDING, "max.message.bytes") and settings[name] != value
    ]
    copies = min(len(partition["replicas"]) for partition in partitions)
    if copies != topic.replication:
        notes.append(f"topic {topic.name}: {copies} brokers hold each record, configured is {topic.replication}")
    return notes
