"""The edge's configuration: a station's, with the way to Kafka."""

from typing import ClassVar, Self

from pydantic import Field

from seacanary.cluster.section import EdgeSection, KafkaSection
from seacanary.config import JournalSection, StationConfig
from seacanary.config_checks import ProcessRole

JOURNAL_FILE = "journal.db"
# Sections of a station that an edge has no use for, and where what they ask for is done instead.
_ELSEWHERE = {
    "publishers": "workers find calls and publish events: put publishers into their file",
    "delivery": "workers find calls and publish events: put publishers into their file",
    "alerts": "they are made of presence events, and those come into being at workers",
    "selftest": "it needs M, which workers run",
    "effort": "workers listen to what its images hold, and answer for it at /fleet",
}


class EdgeConfig(StationConfig):
    """A station at the edge. Presence holds must be those of the workers; they tell when silence is worth a word."""

    role: ClassVar[ProcessRole] = "edge"

    kafka: KafkaSection = Field(KafkaSection(), description="where images go")
    edge: EdgeSection = Field(EdgeSection(), description="what waits for Kafka")
    journal: JournalSection = Field(
        JournalSection(),
        description="this station's events, as workers made them; without a path: journal.db in the folder edge.spool",
    )

    def contradictions(self) -> list[str]:
        """Sections that would be read and then do nothing, besides those of any station."""
        given = [name for name in _ELSEWHERE if name in self.model_fields_set and getattr(self, name) is not None]
        refused = [f"{name}: an edge has none; {_ELSEWHERE[name]}" for name in given]
        if self.web is not None:
            secrets = sorted({"review_secret", "review_secret_file", "links_last_s"} & self.web.model_fields_set)
            refused += [f"web.{name}: an edge has none; links to reviews come with alerts" for name in secrets]
        return refused or super().contradictions()

    def with_edge_defaults(self) -> Self:
        """This configuration, where an edge's defaults are not a station's.

        The journal lies with the spool: two edges on a machine share neither. Audio stays for as long as
        the spool has room for it: events come when the brokers and the workers let them.
        """
        changes = dict[str, object]()
        if "path" not in self.journal.model_fields_set:
            changes["journal"] = JournalSection(path=self.edge.spool / JOURNAL_FILE)
        if self.evidence is not None and "older_bytes" not in self.evidence.spool.model_fields_set:
            spool = self.evidence.spool.model_copy(update={"older_bytes": self.evidence.spool.max_bytes})
            changes["evidence"] = self.evidence.model_copy(update={"spool": spool})
        return self.model_copy(update=changes)
