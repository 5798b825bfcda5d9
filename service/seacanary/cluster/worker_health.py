"""WorkerHealth: what a worker's probes are told: its partitions, its Tables, and whether it moves."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from seacanary.cluster.watchdog_judgement import Answer
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.health import Health, HealthBoard, Vitals, digest_of
from seacanary.publishers.delivery_status import DeliveryStatus

# Its watchdog ends a worker that stands still for stuck_after_s; it is not ready long before.
DOUBTFUL = 0.5


@dataclass(frozen=True, slots=True)
class GroupState:
    """How the worker stands in its group, as Faust says.

    Attributes:
        assigned: partitions it has, by stage; a stage of its roles that has none is there with 0.
        rebalancing: whether partitions are being shared out anew.
        recovering: whether its Tables are being restored.
    """

    assigned: Mapping[str, int]
    rebalancing: bool
    recovering: bool


@dataclass(frozen=True, slots=True)
class _Look:
    """What the watchdog saw last."""

    answer: Answer | None
    quiet_s: float


class WorkerHealth:
    """post() belongs to the worker's loop, looked() to the watchdog's thread, read() to anyone."""

    def __init__(self, config: WorkerConfig, *, model_id: str) -> None:
        """Begin: the worker is starting.

        Args:
            config: the worker's whole configuration.
            model_id: of the model it has loaded.
        """
        self._stuck_after_s = config.worker.stuck_after_s
        facts = {
            "roles": list(config.worker.roles),
            "config": digest_of(config),
            "model": {"id": model_id},
        }
        self._board = HealthBoard(config.role, facts=facts)
        self._look: _Look | None = None

    def read(self) -> Health:
        """What is known now."""
        return self._board.read()

    def looked(self, answer: Answer | None, quiet_s: float) -> None:
        """The watchdog has looked.

        Args:
            answer: of the brokers; None: they gave none.
            quiet_s: how long the most suspicious part of the worker has not moved.
        """
        self._look = _Look(answer, quiet_s)  # replaced as a whole, so the other thread needs no lock

    def post(self, name: str, group: GroupState, deliveries: Iterable[DeliveryStatus]) -> None:
        """Say how things stand; more than once a second.

        Args:
            name: of the worker among the members of its group.
            group: how it stands there.
            deliveries: where each publisher stands.
        """
        details = {
            "partitions": dict(group.assigned),
            "quiet_s": round(self._look.quiet_s, 1) if self._look else None,
            "publishers": {status.publisher: {"waiting": status.waiting} for status in deliveries},
        }
        unready = tuple(self._unready(name, group))
        self._board.post(Vitals(unready=unready, details=details))

    def _unready(self, name: str, group: GroupState) -> Iterator[str]:
        if group.rebalancing:
            yield "partitions are being shared out anew"
        if group.recovering:
            yield "tables are being restored from Kafka"
        look = self._look
        if look is None:
            if not any(group.assigned.values()) and group.assigned:
                yield "no partition is assigned to it yet"
        elif look.answer is None:
            yield "no broker answers"
        else:
            yield from self._unready_in(look.answer, name, group)
        if look is not None and look.quiet_s > DOUBTFUL * self._stuck_after_s:
            yield f"records wait, and nothing has moved for {look.quiet_s:.0f} s"

    def _unready_in(self, answer: Answer, name: str, group: GroupState) -> Iterator[str]:
        """By the brokers' word. To have nothing is right where others have everything: a spare worker is ready."""
        if group.assigned and name not in answer.members:
            yield "the brokers do not count it among the workers of its group"
        for stage, count in group.assigned.items():
            ownerless = [place for place, s in answer.standings.items() if place.stage == stage and s.owner is None]
            if not count and ownerless:
                yield f"it has no partition of {stage}, and nobody has {len(ownerless)} of them"
