"""The Faust agents: infer, track, deliver. Each reads, calls its stage, writes, and only then acknowledges."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import faust
from faust import Stream
from faust.types import TopicT

from seacanary.cluster.acknowledging import Acknowledging, HeldEvent
from seacanary.cluster.app import raw_topic
from seacanary.cluster.clock_watch import CLOCK_UNSURE
from seacanary.cluster.dead_letters import DeadLetters
from seacanary.cluster.delivering import Delivering
from seacanary.cluster.envelope import ImageEnvelope, key_of
from seacanary.cluster.envelope_codec import EnvelopeRefused, decode, encode
from seacanary.cluster.event_journal import EventRecord
from seacanary.cluster.fleet_hours import HourPart
from seacanary.cluster.growing import Growing
from seacanary.cluster.guarding import nothing_passes
from seacanary.cluster.inferring import Inferring
from seacanary.cluster.ordered_consumer import Order
from seacanary.cluster.section import KafkaSection, WorkerSection
from seacanary.cluster.tables import HydrophoneTable
from seacanary.cluster.thinning import Thinning, Waiting
from seacanary.cluster.topics import DETECTIONS, EVENTS, HOURS, IMAGES
from seacanary.cluster.tracking import Concludable, Tracking, WrongContract
from seacanary.events import ConditionEvent, PresenceEvent
from seacanary.metrics import Metrics

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all agents share.

    Attributes:
        app: the Faust app.
        kafka: names of the topics.
        dead_letters: where refused records go.
        metrics: what to count on.
        order: of the records in their partitions.
    """

    app: faust.App
    kafka: KafkaSection
    dead_letters: DeadLetters
    metrics: Metrics
    order: Order

    def topic(self, name: str) -> TopicT:
        """A topic of this cluster, by its short name."""
        return raw_topic(self.app, self.kafka.topic(name))

    def count(self, stage: str, outcome: str, records: int = 1) -> None:
        """Count what became of records."""
        self.metrics.worker_records.labels(stage, outcome).inc(records)


def add_infer(
    around: Surroundings, section: WorkerSection, inferring: Inferring, *, thinning: Thinning, executor: Executor
) -> None:
    """Images to detections, in batches; each hydrophone's order stays, since its partition does."""
    detections = around.topic(DETECTIONS)

    async def readable(event: HeldEvent) -> Waiting | None:
        try:
            item = inferring.read(event.value)
        except EnvelopeRefused as refused:
            await (await around.dead_letters.put(event, str(refused)))
            around.count("infer", "refused")
            return None
        return Waiting(item, event.message.partition, event.message.timestamp)

    async def judge(events: Sequence[HeldEvent]) -> None:
        waiting = [one for event in events if (one := await readable(event)) is not None]
        items = thinning.thinned(waiting, now_s=time.monotonic())
        around.metrics.batch_windows.observe(sum(isinstance(item, ImageEnvelope) for item in items))
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        said = await loop.run_in_executor(executor, inferring.conclude, items)
        around.metrics.inference_duration.observe(loop.time() - began_s)
        writes = [
            await detections.send(
                key=key_of(item.station, item.hydrophone), value=encode(item), partition=one.partition
            )
            for item, one in zip(said, waiting, strict=True)
        ]
        receipts = [await write for write in writes]
        if receipts and receipts[-1].timestamp is not None:
            thinning.brokers_told(receipts[-1].timestamp / 1000, now_s=time.monotonic())
        around.count("infer", "concluded", len(said))

    async def infer(stream: Stream[Any]) -> None:
        with nothing_passes("infer"):
            most = Growing(lambda: thinning.batch_images(time.monotonic()))
            async for events in stream.noack_take(most, within=section.deadline_s):
                for event in events:
                    around.order.check(event.message)
                await judge(events)
                for event in events:
                    event.acknowledge()

    around.metrics.worker_overload.set_function(lambda: thinning.rung(time.monotonic()))
    _add_agent(around, IMAGES, infer)


def add_track(around: Surroundings, table: HydrophoneTable, tracking: Tracking) -> None:
    """Detections to presence events and hours. They go out first, then the state that led to them, then the record."""
    events_topic, hours_topic = around.topic(EVENTS), around.topic(HOURS)
    acknowledging = Acknowledging()

    async def conclude(event: HeldEvent) -> Sequence[Awaitable[object]]:
        try:
            item = _concludable(event)
            key = key_of(item.station, item.hydrophone)
            step = tracking.take(item, stored=table.get(key))
        except (EnvelopeRefused, WrongContract) as refused:
            around.count("track", "refused")
            return [await around.dead_letters.put(event, str(refused))]
        if step is None:
            around.count("track", "repeated")
            return []
        told: list[PresenceEvent | ConditionEvent] = [*step.events, *step.conditions]
        said = [await _sent(each, events_topic) for each in told]
        await _all(said + [await _counted(part, hours_topic) for part in step.hours])
        table[key] = step.stored
        around.count("track", "concluded")
        place = f"{item.station}/{item.hydrophone}"
        around.metrics.condition_state.labels(CLOCK_UNSURE, place).set(step.clock_unsure)
        for change in step.conditions:
            log.warning("%s: %s %s: %s", place, change.condition, change.change, change.detail)
        for presence in step.events:
            around.metrics.events.labels(place, presence.species, presence.kind).inc()
        return table.taken_writes()

    async def track(stream: Stream[Any]) -> None:
        with nothing_passes("track"):
            async for event in stream.noack().events():
                around.order.check(event.message)
                writes = await conclude(event)
                await acknowledging.after(writes, event.acknowledge)

    async def acknowledge() -> None:
        with nothing_passes("acknowledging"):
            await acknowledging.run()

    async def revoked(*_: Any, **__: Any) -> None:
        around.metrics.condition_state.clear()  # of hydrophones that may be another worker's by now

    around.app.on_partitions_revoked.connect(revoked, weak=False)
    _add_agent(around, DETECTIONS, track)
    around.app.task(acknowledge)


def add_deliver(around: Surroundings, delivering: Delivering) -> None:
    """Events to the journal that publishers read, in the one worker that holds the topic's one partition."""
    name = around.kafka.topic(EVENTS)

    async def deliver(stream: Stream[Any]) -> None:
        with nothing_passes("deliver"):
            async for event in stream.noack().events():
                message = event.message
                refused = await delivering.take(
                    EventRecord(message.offset, round(message.timestamp * 1000), event.value)
                )
                if refused is None:
                    continue  # the partition is another worker's by now
                for _, reason in refused:
                    await (await around.dead_letters.put(event, str(reason)))
                    around.count("deliver", "refused")
                around.count("deliver", "concluded")
                event.acknowledge()

    async def assigned(_: Any, assigned: Any, **__: Any) -> None:
        if any(partition.topic == name for partition in assigned):
            delivering.begin()

    async def revoked(_: Any, revoked: Any, **__: Any) -> None:
        if any(partition.topic == name for partition in revoked):
            await delivering.end()

    _add_agent(around, EVENTS, deliver)
    around.app.on_partitions_assigned.connect(assigned, weak=False)  # type: ignore[arg-type]  # takes sync functions
    around.app.on_partitions_revoked.connect(revoked, weak=False)  # type: ignore[arg-type]  # and asks for them alone


def _add_agent(around: Surroundings, topic: str, agent: Callable[[Stream[Any]], Awaitable[None]]) -> None:
    """Let an agent, an async function of its stream, read a topic."""
    decorate = around.app.agent(around.topic(topic), name=agent.__name__)
    decorate(agent)  # type: ignore[arg-type]  # Faust hands over a Stream, and types it as its interface


def _concludable(event: HeldEvent) -> Concludable:
    item = decode(event.value or b"")
    if isinstance(item, ImageEnvelope):
        raise EnvelopeRefused("an image does not belong among the detections")
    return item


async def _sent(event: PresenceEvent | ConditionEvent, topic: TopicT) -> Awaitable[object]:
    key = key_of(event.station, event.hydrophone or "")
    return await topic.send(key=key, value=event.model_dump_json().encode(), partition=0)


async def _counted(part: HourPart, topic: TopicT) -> Awaitable[object]:
    return await topic.send(key=part.key.encode(), value=part.encoded(), partition=0)


async def _all(writes: Sequence[Awaitable[object]]) -> None:
    for write in writes:
        await write
