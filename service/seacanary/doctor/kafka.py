"""Kafka: whether brokers answer and let us in, and whether topics are as they must be. Makes nothing."""

import asyncio
from collections.abc import Iterator

from seacanary.cluster.section import KafkaSection
from seacanary.doctor.findings import Finding, broken, ok, warning
from seacanary.errors import ConfigError, SeaCanaryError
from seacanary.kafka_connection import KafkaConnection
from seacanary.publishers.kafka_section import KafkaEventsSection

ANSWER_S = 10.0
NO_LIBRARY = "pip install 'seacanary[cluster]'"


def cluster(section: KafkaSection, role: str) -> Iterator[Finding]:
    """The cluster of an edge or a worker.

    Args:
        section: which Kafka.
        role: of the process, which decides what waits meanwhile.
    """
    name = "kafka"
    waits = "images wait on disk, and the oldest are shed when it is full" if role == "edge" else "it does not start"
    try:
        from seacanary.cluster.topics import compare_topics

        compared = asyncio.run(compare_topics(_hasty(section)))
    except (SeaCanaryError, ModuleNotFoundError) as exc:
        yield _unwell(name, exc, waits=waits)
        return
    for fault in compared.faults:
        yield broken(
            name,
            fault,
            means="records would be lost or out of order; processes refuse to start with it",
            remedy="correct the kafka section to what is there, or choose another topic_prefix for new topics",
        )
    for note in compared.notes:
        yield warning(
            name,
            note,
            means="nothing is lost, but the topic does not keep what the configuration says",
            remedy="set it with kafka-configs.sh, or write what is meant into the kafka section",
        )
    if compared.missing:
        yield ok(name, f"{section.place}; topics not there yet are made at the start: {', '.join(compared.missing)}")
    elif not compared.faults:
        yield ok(name, f"{section.place}; all topics are there with {section.partitions} partitions by hydrophone")


def publisher(section: KafkaEventsSection) -> Iterator[Finding]:
    """The topic that a publisher writes to."""
    name = f"kafka {section.name}"
    waits = "events wait in the journal until it works, and nothing is lost"
    try:
        partitions = asyncio.run(_partitions(_hasty(section.kafka), section.topic))
    except (SeaCanaryError, ModuleNotFoundError) as exc:
        yield _unwell(name, exc, waits=waits)
        return
    if not partitions:
        yield broken(
            name,
            f"{section.kafka.place} has no topic {section.topic}",
            means=f"the station never makes it; {waits}",
            remedy=f"kafka-topics.sh --create --topic {section.topic}; or correct `topic`",
        )
        return
    yield ok(name, f"{section.kafka.place}: topic {section.topic} has {partitions} partitions")


def _hasty(connection: KafkaConnection | KafkaSection) -> "KafkaSection":
    """The same brokers, asked with little patience."""
    patience_s = min(ANSWER_S, connection.request_timeout_s)
    fields = {name: getattr(connection, name) for name in type(connection).model_fields}
    return KafkaSection.model_validate({**fields, "request_timeout_s": patience_s})


async def _partitions(section: KafkaSection, topic: str) -> int:
    from seacanary.cluster.topics import existing_topics

    return (await existing_topics(section)).get(topic, 0)


def _unwell(name: str, exc: Exception, *, waits: str) -> Finding:
    if isinstance(exc, ModuleNotFoundError):
        return broken(name, f"{exc.name} is not installed", means="nothing reaches Kafka without it", remedy=NO_LIBRARY)
    said = str(exc)
    if isinstance(exc, ConfigError):
        return broken(name, said, means="the process does not start", remedy="correct the login or tls section")
    if "Authentication" in said or "Authorization" in said or "SASL" in said:
        return broken(
            name,
            said,
            means=f"the brokers do not let this user in; {waits}",
            remedy="correct kafka.login, and the user's rights at the brokers (docs/kafka.md names them)",
        )
    return broken(
        name,
        said,
        means=f"no broker answers; {waits}",
        remedy="see whether the brokers run, whether bootstrap_servers names them, and whether TLS and firewall let "
        "this machine through (kcat -L -b HOST:PORT)",
    )
