"""Subject: what is examined: a configuration, the process that may be running on it, and the model it names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.config import Configuration, PublisherSection, SourceSection, StationConfig
from seacanary.contract import ModelContract
from seacanary.detection import DetectorSection


@dataclass(frozen=True, slots=True)
class Running:
    """What there is to see of a process that runs on this configuration.

    Attributes:
        holds: whether a process holds the journal or the spool.
        health: what its /health says; None: nobody answers there.
        gauges: its metrics that have no labels, by name.
        doubt: why it cannot be told whether there is one; None: it can.
    """

    holds: bool = False
    health: Mapping[str, Any] | None = None
    gauges: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    doubt: str | None = None

    def __bool__(self) -> bool:
        return self.holds or self.health is not None

    @property
    def may_run(self) -> bool:
        """Whether there is a process, or may be one: what it would have open is left alone."""
        return bool(self) or self.doubt is not None

    def detail(self, name: str) -> Mapping[str, Any]:
        """A part of its health; empty where it says nothing of that."""
        part = (self.health or {}).get(name)
        return part if isinstance(part, Mapping) else {}


NOT_RUNNING = Running()


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined.

    Attributes:
        path: the YAML file; None: the machine alone is examined.
        config: what it says; None: none was given, or it was refused.
        running: the process that runs on it.
        contract: of its model; None: that cannot be used.
        send: whether test messages may be sent to webhooks and people.
    """

    path: Path | None = None
    config: Configuration | None = None
    running: Running = NOT_RUNNING
    contract: ModelContract | None = None
    send: bool = False

    @property
    def station(self) -> StationConfig | None:
        """The configuration of a station or an edge, with the defaults that hold for it."""
        if isinstance(self.config, EdgeConfig):
            return self.config.with_edge_defaults()
        return self.config if isinstance(self.config, StationConfig) else None

    @property
    def sources(self) -> Sequence[SourceSection]:
        """Hydrophone feeds; a worker has none."""
        return self.station.sources if self.station else ()

    @property
    def publishers(self) -> Sequence[PublisherSection]:
        """Destinations of events; an edge has none."""
        return self.config.publishers if isinstance(self.config, StationConfig | WorkerConfig) else ()

    @property
    def kafka(self) -> KafkaSection | None:
        """The cluster; a station is in none."""
        return self.config.kafka if isinstance(self.config, EdgeConfig | WorkerConfig) else None

    @property
    def model(self) -> DetectorSection:
        """The model, or the bundled one."""
        return self.config.model if isinstance(self.config, StationConfig | WorkerConfig) else DetectorSection()

    @property
    def journal(self) -> Path | None:
        """The journal of events; a worker that does not deliver has none."""
        if isinstance(self.config, WorkerConfig):
            return self.config.worker.journal if "deliver" in self.config.worker.roles else None
        return self.station.journal.path if self.station else None
