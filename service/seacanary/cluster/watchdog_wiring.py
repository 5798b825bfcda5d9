"""Puts a watchdog over a worker."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import faust
from faust.tables.manager import TableManager

from seacanary.cluster.broker_look import BrokerLook
from seacanary.cluster.ordered_consumer import Order
from seacanary.cluster.section import KafkaSection, WorkerSection
from seacanary.cluster.topics import DETECTIONS, EVENTS, IMAGES
from seacanary.cluster.watchdog import LOOKS_PER_LIMIT, Watchdog
from seacanary.cluster.watchdog_judgement import Answer, Place, Progress, StuckJudge
from seacanary.metrics import Metrics

READS = {"infer": IMAGES, "track": DETECTIONS, "deliver": EVENTS}


def watched(
    app: faust.App,
    kafka: KafkaSection,
    worker: WorkerSection,
    *,
    metrics: Metrics,
    order: Order,
    filled: Callable[[], int],
    on_look: Callable[[Answer | None, float], None] = lambda _answer, _quiet_s: None,
) -> AbstractAsyncContextManager[None]:
    """Guard what runs meanwhile.

    Args:
        app: the worker's Faust app.
        kafka: which Kafka.
        worker: its roles, its folder, and its patience.
        metrics: where lag is shown.
        order: knows which records agents have taken.
        filled: how many records were read to fill a journal.
        on_look: told what each look at the brokers gave, as by Watchdog.
    """
    topics: dict[str, str] = {stage: kafka.topic(name) for stage, name in READS.items() if stage in worker.roles}
    stages = {topic: stage for stage, topic in topics.items()}
    look_s = worker.stuck_after_s / LOOKS_PER_LIMIT

    def progress() -> Progress:
        taken = {Place(stages[tp.topic], tp.partition): offset for tp, offset in order.taken().items()}
        return Progress(taken=taken, prepared=filled() + _restored(app))

    return Watchdog(
        StuckJudge(app.conf.broker_client_id, limit_s=worker.stuck_after_s, longest_step_s=2 * look_s),
        BrokerLook(kafka, group=app.conf.id, topics=topics, timeout_s=look_s),
        progress=progress,
        metrics=metrics,
        folder=worker.data,
        look_s=look_s,
        on_look=on_look,
    ).guarding()


def _restored(app: faust.App) -> int:
    """How far changelogs have been read."""
    offsets = app.tables.recovery.active_offsets if isinstance(app.tables, TableManager) else {}
    return sum(offset or 0 for offset in offsets.values())  # None where nothing is known yet, whatever its type says
