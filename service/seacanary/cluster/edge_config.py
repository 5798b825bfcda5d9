"""The edge's configuration: a station's, with the way to Kafka."""

from pydantic import Field

from seacanary.cluster.section import EdgeSection, KafkaSection
from seacanary.config import StationConfig


class EdgeConfig(StationConfig):
    """A station at the edge. Presence holds must be those of the workers; they tell when silence is worth a word."""

    kafka: KafkaSection = Field(KafkaSection(), description="where images go")
    edge: EdgeSection = Field(EdgeSection(), description="what waits for Kafka")
