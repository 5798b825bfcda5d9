"""The worker's configuration: composed of each stage's section."""

from typing import ClassVar

from pydantic import Field

from seacanary.cluster.clock_watch import ClockSection
from seacanary.cluster.section import KafkaSection, WorkerSection
from seacanary.config import Configuration, PublisherSection
from seacanary.config_checks import ProcessRole, idle_at_workers, names_of_our_own, used_twice
from seacanary.detection import DetectorSection
from seacanary.guard import GuardSection
from seacanary.metrics import MetricsSection
from seacanary.presence_rules import PresenceSection
from seacanary.publishers.delivery import DeliveryPolicy
from seacanary.publishers.kafka_section import KafkaEventsSection


class WorkerConfig(Configuration):
    """A whole worker. All workers of a cluster have the same model, presence and guard."""

    role: ClassVar[ProcessRole] = "worker"

    kafka: KafkaSection = Field(KafkaSection(), description="where images come from, and events go")
    worker: WorkerSection = WorkerSection()
    model: DetectorSection = DetectorSection()
    presence: PresenceSection = PresenceSection()
    guard: GuardSection = GuardSection()
    clock: ClockSection = ClockSection()
    clips: bool = Field(False, description="whether stations keep clips: events then name theirs, as a station's do")
    publishers: tuple[PublisherSection, ...] = ()
    delivery: DeliveryPolicy = Field(DeliveryPolicy(), description="of publishers without a policy of their own")
    metrics: MetricsSection = MetricsSection()

    def contradictions(self) -> list[str]:
        """Publishers that would wait for ever, get in one another's way, or write where workers read."""
        names = [publisher.name for publisher in self.publishers]
        return [
            *names_of_our_own(names),
            *used_twice(names),
            *idle_at_workers(self.publishers),
            *self._into_the_cluster(),
        ]

    def _into_the_cluster(self) -> list[str]:
        prefix = self.kafka.topic_prefix
        return [
            f"publishers.{i}.topic: got '{publisher.topic}': topics that begin with kafka.topic_prefix ('{prefix}') "
            "are the cluster's own, and events are in one of them already; choose another"
            for i, publisher in enumerate(self.publishers)
            if isinstance(publisher, KafkaEventsSection) and prefix and publisher.topic.startswith(prefix)
        ]
