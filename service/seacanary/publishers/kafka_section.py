"""KafkaEventsSection: events sent to a topic of a Kafka that others read."""

from typing import Literal

from pydantic import Field

from seacanary.kafka_connection import KafkaConnection
from seacanary.publishers.selection import Carried, Selection


class KafkaEventsSection(Selection):
    """Events of this station as records of a Kafka topic, CloudEvents in their binary form."""

    kind: Literal["kafka"] = "kafka"
    name: str = Field("kafka", min_length=1, description="name of the cursor, the metrics and the logs")
    kafka: KafkaConnection = Field(KafkaConnection(), description="the brokers, and how to get in")
    topic: str = Field(
        "seacanary.events",
        pattern=r"^[A-Za-z0-9._-]+$",
        max_length=249,
        description="topic to write to; it must exist, and is never made by this station",
    )
    events: tuple[Carried, ...] = Field(
        ("presence", "alerts", "reviews", "conditions"), min_length=1, description="which kinds of event it carries"
    )
