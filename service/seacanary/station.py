"""Station: wires one station together, supervises its parts, and keeps its account."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from seacanary import __version__
from seacanary.batching import FeedEnded, FileDone
from seacanary.beside import Beside, Surroundings
from seacanary.beside_evidence import picture_of, with_evidence
from seacanary.beside_parts import open_beside
from seacanary.config import SourceSection, StationConfig, check_against_model
from seacanary.contract import ModelContract
from seacanary.detection import Detector
from seacanary.errors import SeaCanaryError, first_of
from seacanary.events import PresenceEvent
from seacanary.hydrophone import Hydrophone
from seacanary.journal import Journal
from seacanary.journalling import Journalling
from seacanary.ledger import LedgerTotals
from seacanary.listening import Conclusion, Feed, Listening
from seacanary.metrics import Metrics
from seacanary.ntp import ntp_state
from seacanary.observations import Detection
from seacanary.publishers.delivery import Delivery
from seacanary.sources.files import FileReport
from seacanary.sources.supervised import SupervisedSource
from seacanary.telemetry import Telemetry
from seacanary.view import HydrophoneView
from seacanary.web.review_links import ReviewLinks
from seacanary.wiring import (
    delivery_policy,
    is_named_by,
    open_publisher,
    open_source,
    plays_recordings,
    review_links,
    supervision_of,
    waits_for_us,
)

log = logging.getLogger(__name__)

EXPORT_EVERY_S = 1.0
DRAIN_S = 5.0  # how long a stopping station waits for its publishers


@dataclass(frozen=True, slots=True)
class StationSummary:
    """What a run came to.

    Attributes:
        ledger: where every sample went, by hydrophone.
        events: journalled in this run, by kind.
        unsent: events that each publisher has still to deliver; the journal keeps them.
        troubles: what could not be done, as sentences: sources that could not be used, files refused,
            windows the model did not answer.
    """

    ledger: Mapping[str, LedgerTotals]
    events: Mapping[str, int]
    unsent: Mapping[str, int]
    troubles: tuple[str, ...] = ()


class Station:
    """Sources to publishers on one machine. Built, run once, and thrown away."""

    def __init__(
        self,
        config: StationConfig,
        *,
        detector: Detector,
        metrics: Metrics,
        on_events: Callable[[Sequence[PresenceEvent]], None] = lambda _: None,
        system_s: Callable[[], float] = time.time,
    ) -> None:
        """Wire a station; nothing is opened yet.

        Args:
            config: the station's whole configuration.
            detector: the model, loaded.
            metrics: what to count on.
            on_events: told of events as they are journalled.
            system_s: the system clock, for latency only.

        Raises:
            ConfigError: the configuration does not fit the model.
        """
        check_against_model(config, detector.contract)
        self._config, self._detector, self._metrics = config, detector, metrics
        self._system_s = system_s
        self._telemetry = Telemetry(metrics)
        self._listening: Listening | None = None
        self._latest: dict[str, Mapping[str, float]] = {}
        self._stop_asked = False
        self._journalling = Journalling(
            metrics,
            on_events=on_events,
            give_up=lambda: self._stop_asked,
            complete=partial(with_evidence, config),
        )
        self._done_files: set[str] = set()
        self._sources: dict[str, SupervisedSource] = {}
        self._refused_files: list[str] = []
        metrics.build.info({"version": __version__, "model": detector.contract.model_id})

    def stop(self) -> None:
        """End capture here; what was captured is analysed, journalled and published."""
        self._stop_asked = True
        if self._listening is not None:
            self._listening.stop()

    @property
    def recent(self) -> Sequence[PresenceEvent]:
        """The latest events of this run, oldest first."""
        return tuple(self._journalling.recent)

    def view(self) -> dict[str, HydrophoneView]:
        """What there is to see of each hydrophone now."""
        return {name: self._view_of(name, hydrophone) for name, hydrophone in self._hydrophones.items()}

    async def run(self) -> StationSummary:
        """Listen until all sources have ended or stop() is called.

        Raises:
            SeaCanaryError: a part that the station cannot do without is broken.
        """
        try:
            async with await Journal.open(self._config.journal.path) as journal:
                return await self._run(journal)
        except* SeaCanaryError as group:
            raise first_of(group) from group

    async def _run(self, journal: Journal) -> StationSummary:
        states = await journal.states()
        self._done_files |= await journal.done_files()
        feeds = [self._feed(i, section, states) for i, section in enumerate(self._config.sources)]
        await self._close_orphans(journal, states)
        async with AsyncExitStack() as opened:
            links = review_links(self._config)
            beside = await opened.enter_async_context(open_beside(self._surroundings(journal), links))
            self._listening = listening = self._listen(journal, feeds, beside)
            if self._stop_asked:
                listening.stop()
            deliveries = self._open_deliveries(journal, opened, links)
            await self._work(journal, listening, beside, deliveries)
        self._export()
        unsent = {d.status.publisher: journal.head - await journal.cursor(d.status.publisher) for d in deliveries}
        ledger = {name: hydrophone.intake.ledger.totals for name, hydrophone in self._hydrophones.items()}
        return StationSummary(ledger, dict(self._journalling.kinds), unsent, self._troubles(listening))

    def _surroundings(self, journal: Journal) -> Surroundings:
        return Surroundings(
            config=self._config,
            journal=journal,
            detector=self._detector,
            metrics=self._metrics,
            record=partial(self._journalling.record, journal),
            live_windows=lambda: self._listening.waiting if self._listening else 0,
        )

    def _listen(self, journal: Journal, feeds: Sequence[Feed], beside: Beside) -> Listening:
        return Listening(
            feeds,
            detector=self._detector,
            batching=self._config.batching,
            metrics=self._metrics,
            tell=partial(self._take_in, journal),
            audience=beside,
        )

    def _open_deliveries(self, journal: Journal, opened: AsyncExitStack, links: ReviewLinks | None) -> list[Delivery]:
        deliveries = []
        for section in self._config.publishers:
            publisher = open_publisher(
                section, links=links.links if links else lambda _: {}, picture=partial(picture_of, self._config)
            )
            opened.push_async_callback(publisher.aclose)
            note = partial(self._telemetry.delivery_changed, self._system_s)
            policy = delivery_policy(section, self._config.delivery)
            deliveries.append(Delivery(journal, publisher, policy=policy, on_change=note))
        return deliveries

    async def _work(
        self, journal: Journal, listening: Listening, beside: Beside, deliveries: Sequence[Delivery]
    ) -> None:
        """Listen, deliver, export and watch, until listening is over and the rest has had its time."""
        async with asyncio.TaskGroup() as group:
            background: list[asyncio.Task[None]] = [
                group.create_task(self._export_always()),
                group.create_task(self._watch_silence(journal)),
                group.create_task(beside.run()),
            ]
            background += [group.create_task(delivery.run()) for delivery in deliveries]
            await listening.run()
            if not await beside.drain(DRAIN_S):
                log.warning("stopping with clips or alerts unfinished; they are made at the next start")
            await self._let_publishers_finish(deliveries)
            for task in background:
                task.cancel()

    def _troubles(self, listening: Listening) -> tuple[str, ...]:
        unusable = [f"source {name}: {error}" for name, error in listening.failed.items()]
        failed = listening.windows_failed
        unanswered = [f"the model did not answer for {failed} windows"] if failed else []
        return (*unusable, *self._refused_files, *unanswered)

    @property
    def _hydrophones(self) -> Mapping[str, Hydrophone]:
        return self._listening.hydrophones if self._listening else {}

    def _feed(self, place: int, section: SourceSection, states: Mapping[str, str]) -> Feed:
        name = f"{place}-{section.kind}"
        source = SupervisedSource(
            partial(open_source, section, done=self._done_files, on_file_done=partial(self._note_file, name)),
            supervision_of(section, self._config.supervision),
            on_change=partial(self._telemetry.source_changed, name),
        )
        self._sources[name] = source
        feed = Feed(
            name,
            source,
            partial(self._make, section, states),
            patient=waits_for_us(section),
            live=not plays_recordings(section),
        )
        for hydrophone in _stored_names(states, self._detector.contract):
            if is_named_by(section, hydrophone):
                feed.hydrophone(hydrophone)  # an open presence must be able to end, even if nothing comes
        return feed

    def _make(self, section: SourceSection, states: Mapping[str, str], name: str) -> Hydrophone:
        hydrophone = self._hydrophone(name, pad_at_end=plays_recordings(section))
        hydrophone.restore(states)
        return hydrophone

    def _hydrophone(self, name: str, *, pad_at_end: bool) -> Hydrophone:
        return Hydrophone(
            name,
            station=self._config.station.name,
            contract=self._detector.contract,
            presence=self._config.presence,
            guard=self._config.guard,
            pad_at_end=pad_at_end,
        )

    async def _close_orphans(self, journal: Journal, states: Mapping[str, str]) -> None:
        """End presences of hydrophones that this station no longer has."""
        for name in _stored_names(states, self._detector.contract):
            if any(is_named_by(section, name) for section in self._config.sources):
                continue
            orphan = self._hydrophone(name, pad_at_end=False)
            orphan.restore(states)
            events = orphan.close("lost_coverage")
            if events:
                await self._journalling.take(journal, events, orphan)

    async def _take_in(self, journal: Journal, conclusion: Conclusion) -> None:
        item = conclusion.item
        if isinstance(item, FileDone):
            await self._journalling.file_done(journal, item)
            return
        if isinstance(item, FeedEnded):
            if item.reason == "stream_ended":
                await self._journalling.feed_done(journal, item.feed)
            return
        hydrophone = self._hydrophones[item.hydrophone]
        if isinstance(item, Detection):
            self._latest[item.hydrophone] = item.probability
            self._telemetry.detected(item, hydrophone)
        await self._journalling.take(journal, conclusion.events, hydrophone)
        if isinstance(item, Detection):
            led_to_events = bool(conclusion.events)
            self._telemetry.concluded(item, hydrophone, now_s=self._system_s(), led_to_events=led_to_events)

    async def _export_always(self) -> None:
        while True:
            await asyncio.sleep(EXPORT_EVERY_S)
            self._export()

    async def _watch_silence(self, journal: Journal) -> None:
        """End the presences of live hydrophones that fell silent."""
        while True:
            await asyncio.sleep(EXPORT_EVERY_S)
            # While the journal is stuck, what was heard waits: that is no silence.
            if self._listening is None or self._journalling.busy:
                continue
            for name, silent_s in self._listening.silent_s().items():
                events = self._hydrophones[name].fall_silent(silent_s)
                if events:
                    await self._journalling.take(journal, events, self._hydrophones[name])

    def _export(self) -> None:
        ntp = ntp_state()
        self._telemetry.export(self._hydrophones, ntp_error_s=ntp.maximum_error_s if ntp else None)
        self._metrics.clock_synchronised.set(ntp is not None and ntp.synchronised)
        for name, silent_s in (self._listening.silent_s() if self._listening else {}).items():
            self._metrics.audio_age.labels(name).set(silent_s)
        for name, source in self._sources.items():
            self._telemetry.export_source(name, source)
        self._telemetry.age_deliveries(self._system_s())
        self._metrics.queue_windows.set(self._listening.waiting if self._listening else 0)

    async def _let_publishers_finish(self, deliveries: Sequence[Delivery]) -> None:
        """Give publishers a little time; what they do not get out waits in the journal."""
        delivered = await asyncio.gather(*(delivery.drain(DRAIN_S) for delivery in deliveries))
        if not all(delivered):
            log.warning("stopping with events undelivered; they go out at the next start")

    def _note_file(self, feed: str, report: FileReport) -> None:
        for warning in report.warnings:
            log.warning("%s", warning)
        self._done_files.add(str(report.path))
        if self._listening is not None:
            self._listening.file_done(FileDone(feed, str(report.path), report.epoch))
        if report.refused:
            self._refused_files.append(report.refused)

    def _view_of(self, name: str, hydrophone: Hydrophone) -> HydrophoneView:
        return HydrophoneView(
            probability=self._latest.get(name, {}),
            phases={tracker.species: tracker.phase for tracker in hydrophone.trackers},
            totals=hydrophone.intake.ledger.totals,
            sample_rate_hz=hydrophone.intake.sample_rate_hz,
        )


def _stored_names(states: Mapping[str, str], contract: ModelContract) -> list[str]:
    """Hydrophones that a tracker has left a state of in the journal."""
    species = {call_type.species for call_type in contract.call_types}
    return sorted({name for name, _, what in (key.rpartition("/") for key in states) if what in species})
