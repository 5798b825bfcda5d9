"""The worker's configuration: composed of each stage's section."""

from pydantic import BaseModel, ConfigDict, Field

from seacanary.cluster.section import KafkaSection, WorkerSection
from seacanary.config import PublisherSection
from seacanary.detection import DetectorSection
from seacanary.guard import GuardSection
from seacanary.metrics import MetricsSection
from seacanary.presence_rules import PresenceSection
from seacanary.publishers.delivery import DeliveryPolicy


class WorkerConfig(BaseModel):
    """A whole worker. All workers of a cluster have the same model, presence and guard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka: KafkaSection = KafkaSection()
    worker: WorkerSection = WorkerSection()
    model: DetectorSection = DetectorSection()
    presence: PresenceSection = PresenceSection()
    guard: GuardSection = GuardSection()
    clips: bool = Field(False, description="whether stations keep clips: events then name theirs, as a station's do")
    publishers: tuple[PublisherSection, ...] = ()
    delivery: DeliveryPolicy = Field(DeliveryPolicy(), description="of publishers without a policy of their own")
    metrics: MetricsSection = MetricsSection()
