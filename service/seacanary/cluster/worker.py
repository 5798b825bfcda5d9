"""Worker: one process of the cluster, wired from its configuration and run in the foreground."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from functools import partial

import faust
from faust.tables.manager import TableManager
from faust.types import TP, TopicT

from seacanary import __version__
from seacanary.cluster.agents import Surroundings, add_deliver, add_infer, add_track
from seacanary.cluster.app import CHANGELOG_TOPIC, hydrophone_table, make_app, raw_topic
from seacanary.cluster.dead_letters import DeadLetters
from seacanary.cluster.delivering import Delivering, OnChange
from seacanary.cluster.fleet_following import FleetHours
from seacanary.cluster.fleet_web import serving_fleet
from seacanary.cluster.foreground import limit_log, serve_metrics, stop_on_signals
from seacanary.cluster.guarding import end_process, nothing_passes
from seacanary.cluster.inferring import Inferring, Judge
from seacanary.cluster.ordered_consumer import Order, OrderedConsumer
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.tables import CHANGELOG
from seacanary.cluster.thinning import Thinning
from seacanary.cluster.topic_reading import event_records, newest_cursors
from seacanary.cluster.topics import CURSORS, DEAD_LETTERS, changelog, make_topics
from seacanary.cluster.tracking import Tracking
from seacanary.cluster.watchdog_wiring import READS, watched
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.cluster.worker_health import GroupState, WorkerHealth
from seacanary.events import PresenceEvent
from seacanary.evidence.names import stem_of
from seacanary.health import Examined
from seacanary.image_detection import ImageJudge
from seacanary.journal import Journal
from seacanary.metrics import Metrics
from seacanary.publishers.delivery import Delivery
from seacanary.publishers.notify import NotifySection
from seacanary.publishers.webhook_section import WebhookSection
from seacanary.supervisor_notice import supervisor_told
from seacanary.telemetry import Telemetry
from seacanary.wiring import delivery_policy, open_publisher

log = logging.getLogger(__name__)

LOOK_S = 0.5
CHATTY = ("aiokafka", "faust", "mode")


class Worker:
    """The roles of one process. Built, run once, and thrown away.

    Attributes:
        health: what probes are told of it.
    """

    def __init__(self, config: WorkerConfig, *, judge: Judge, metrics: Metrics) -> None:
        """Prepare; nothing is connected yet.

        Args:
            config: the worker's whole configuration.
            judge: the model, loaded.
            metrics: what to count on.

        Raises:
            ConfigError: the presence section does not fit the model.
        """
        config.presence.check(judge.contract)
        self._config, self._judge, self._metrics = config, judge, metrics
        self._telemetry = Telemetry(metrics)
        self._stop = asyncio.Event()
        self._delivering: Delivering | None = None
        self.health = WorkerHealth(config, model_id=judge.contract.model_id)
        metrics.build.info({"version": __version__, "model": judge.contract.model_id})

    def stop(self) -> None:
        """Hand over: what is under way and not acknowledged is read again by others."""
        self._stop.set()

    async def run(self) -> None:
        """Work until stop(); a Faust that has crashed ends the process.

        Raises:
            ConfigError: a secret cannot be read, or the topics cannot be used.
            ClusterUnreachable: no broker answers.
        """
        kafka = self._config.kafka
        for note in await make_topics(kafka, changelog(kafka, CHANGELOG_TOPIC, CHANGELOG)):
            log.warning("%s", note)
        self._config.worker.data.mkdir(parents=True, exist_ok=True)
        app = make_app(
            kafka, self._config.worker, on_expired=lambda topic, n: self._metrics.images_expired.labels(topic).inc(n)
        )
        with ThreadPoolExecutor(1, thread_name_prefix="judge") as executor:
            order = Order(lambda: _begins_at(app))
            self._add_roles(app, executor, order)
            async with self._watched(app, order), self._fleet():
                await self._work(app)
            if self._delivering is not None:
                await self._delivering.end()
            await app.stop()
        log.info("worker: stopped; what it had not finished, others take over")

    async def _work(self, app: faust.App) -> None:
        await app.start()
        log.info("worker: %s; %s", ", ".join(self._config.worker.roles), self._config.kafka.place)
        while not self._stop.is_set():
            if app.should_stop:  # also when it has crashed, which nobody else would notice
                log.critical("Faust has stopped by itself: %r", app.crash_reason)
                end_process()
            self._telemetry.age_deliveries(time.time())
            self.health.post(app.conf.broker_client_id, self._group_state(app), self._telemetry.deliveries)
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._stop.wait()
            except TimeoutError:
                continue

    def _group_state(self, app: faust.App) -> GroupState:
        stages = [stage for stage in self._config.worker.roles if stage in READS]
        topics = {stage: self._config.kafka.topic(READS[stage]) for stage in stages}
        assigned = [tp.topic for tp in app.consumer.assignment()]
        return GroupState(
            {stage: assigned.count(topic) for stage, topic in topics.items()},
            rebalancing=app.rebalancing,
            recovering=isinstance(app.tables, TableManager) and app.tables.recovery.in_recovery,
        )

    def _add_roles(self, app: faust.App, executor: ThreadPoolExecutor, order: Order) -> None:
        config, roles = self._config, self._config.worker.roles
        letters = DeadLetters(raw_topic(app, config.kafka.topic(DEAD_LETTERS)), self._metrics)
        around = Surroundings(app, config.kafka, letters, self._metrics, order)
        if "infer" in roles:
            thinning = Thinning(config.worker, self._judge.contract, self._metrics)
            inferring = Inferring(self._judge, self._metrics)
            add_infer(around, config.worker, inferring, thinning=thinning, executor=executor)
        if "track" in roles:
            add_track(around, hydrophone_table(app, config.kafka), self._tracking())
        if "deliver" in roles:
            self._delivering = self._make_delivering(app)
            add_deliver(around, self._delivering)

    @asynccontextmanager
    async def _fleet(self) -> AsyncIterator[None]:
        """Answer for the fleet meanwhile, if that is this worker's."""
        worker = self._config.worker
        if "fleet" not in worker.roles:
            yield
            return

        async def follow() -> None:
            with nothing_passes("fleet"):
                await fleet.follow()

        refused = self._metrics.worker_records.labels("fleet", "refused").inc
        async with (
            FleetHours.open(worker.hours, self._config.kafka, on_refused=refused) as fleet,
            serving_fleet(worker.host, worker.port, fleet) as url,
        ):
            log.info("fleet: %s/fleet", url)
            following = asyncio.create_task(follow(), name="fleet-hours")
            try:
                yield
            finally:
                following.cancel()
                await asyncio.wait({following})

    def _watched(self, app: faust.App, order: Order) -> AbstractAsyncContextManager[None]:
        return watched(
            app,
            self._config.kafka,
            self._config.worker,
            metrics=self._metrics,
            order=order,
            filled=lambda: self._delivering.records_filled if self._delivering is not None else 0,
            on_look=self.health.looked,
        )

    def _tracking(self) -> Tracking:
        return Tracking(
            self._judge.contract,
            presence=self._config.presence,
            guard=self._config.guard,
            clock=self._config.clock,
            complete=_with_clip if self._config.clips else _unchanged,
        )

    def _make_delivering(self, app: faust.App) -> Delivering:
        kafka = self._config.kafka
        return Delivering(
            self._config.worker.journal,
            _Topics(kafka, raw_topic(app, kafka.topic(CURSORS))),
            open_deliveries=self._open_deliveries,
            on_change=lambda status: self._telemetry.delivery_changed(time.time, status),
            newcomers=_people(self._config),
        )

    def _open_deliveries(self, journal: Journal, opened: AsyncExitStack, on_change: OnChange) -> Sequence[Delivery]:
        self._telemetry = Telemetry(self._metrics)  # these deliveries count from zero again
        deliveries = []
        for section in self._config.publishers:
            publisher = open_publisher(section, links=lambda _: {}, picture=lambda _: None)
            opened.push_async_callback(publisher.aclose)
            policy = delivery_policy(section, self._config.delivery)
            deliveries.append(Delivery(journal, publisher, policy=policy, on_change=on_change))
        return deliveries


class _Topics:
    """The events and cursors topics on real brokers."""

    def __init__(self, section: KafkaSection, cursors: TopicT) -> None:
        self.events = partial(event_records, section)
        self._section, self._cursors = section, cursors

    async def cursors(self) -> dict[str, int]:
        return await newest_cursors(self._section)

    async def say(self, publisher: str, sequence: int) -> None:
        await (await self._cursors.send(key=publisher.encode(), value=str(sequence).encode(), partition=0))


def run_worker(config: WorkerConfig, *, examined: Examined = nullcontext) -> None:
    """Run a worker in the foreground until SIGINT or SIGTERM.

    Args:
        config: the worker's whole configuration.
        examined: adds to what probes are told.

    Raises:
        SeaCanaryError: the model, the brokers or the configuration cannot be used.
    """
    limit_log(*CHATTY)
    metrics, judge = Metrics(), ImageJudge.load(config.model)
    try:
        worker = Worker(config, judge=judge, metrics=metrics)
        with examined(worker.health.read) as health:
            serve_metrics(metrics, config.metrics, health=health)
            asyncio.run(_run(worker))
    finally:
        judge.close()
        metrics.close()


async def _run(worker: Worker) -> None:
    stop_on_signals(worker.stop)
    async with supervisor_told(worker.health.read):
        await worker.run()


def _begins_at(app: faust.App) -> Mapping[TP, int]:
    consumer = app.consumer
    return consumer.begins_at if isinstance(consumer, OrderedConsumer) else {}


def _people(config: WorkerConfig) -> list[str]:
    """Publishers to people, who must not get years of events when they are new."""
    return [section.name for section in config.publishers if isinstance(section, WebhookSection | NotifySection)]


def _with_clip(event: PresenceEvent) -> PresenceEvent:
    return event.model_copy(update={"evidence": stem_of(event)})


def _unchanged(event: PresenceEvent) -> PresenceEvent:
    return event
