"""The edge's configuration: a station's, with the way to Kafka."""

from typing import ClassVar

from pydantic import Field

from seacanary.cluster.section import EdgeSection, KafkaSection
from seacanary.config import StationConfig
from seacanary.config_checks import ProcessRole

# Sections of a station that an edge has no use for, and where what they ask for is done instead.
_ELSEWHERE = {
    "publishers": "workers find calls and publish events: put publishers into their file",
    "delivery": "workers find calls and publish events: put publishers into their file",
    "alerts": "they are made of presence events, and those come into being at workers",
    "selftest": "it needs M, which workers run",
}


class EdgeConfig(StationConfig):
    """A station at the edge. Presence holds must be those of the workers; they tell when silence is worth a word."""

    role: ClassVar[ProcessRole] = "edge"

    kafka: KafkaSection = Field(KafkaSection(), description="where images go")
    edge: EdgeSection = Field(EdgeSection(), description="what waits for Kafka")

    def contradictions(self) -> list[str]:
        """Sections that would be read and then do nothing, besides those of any station."""
        given = [name for name in _ELSEWHERE if name in self.model_fields_set and getattr(self, name) is not None]
        return [f"{name}: an edge has none; {_ELSEWHERE[name]}" for name in given] or super().contradictions()
