"""Station: wires one station together, supervises its parts, and keeps its account."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from seacanary import __version__
from seacanary.batching import FeedEnded, FileDone
from seacanary.beside import Beside, Part, Surroundings
from seacanary.beside_evidence import with_evidence
from seacanary.beside_parts import Model, open_beside
from seacanary.config import StationConfig, check_against_model
from seacanary.deafness import deafness_part
from seacanary.deliveries import Deliveries
from seacanary.detection import Detector
from seacanary.effort import Account, EffortLog
from seacanary.errors import SeaCanaryError, first_of
from seacanary.events import PresenceEvent
from seacanary.feeds import Feeds
from seacanary.hydrophone import Hydrophone
from seacanary.journal import Journal
from seacanary.journalling import Journalling
from seacanary.ledger import LedgerTotals
from seacanary.listening import Conclusion, Feed, Listening
from seacanary.metrics import Metrics
from seacanary.ntp import ntp_state
from seacanary.observations import Detection
from seacanary.presence_rules import PresenceSection
from seacanary.reloading import NAME as RELOAD
from seacanary.reloading import Changeable, Reloading
from seacanary.sources.files import FileReport
from seacanary.sources.supervised import SourceChange, SupervisedSource
from seacanary.station_health import StationHealth
from seacanary.telemetry import Telemetry
from seacanary.view import HydrophoneView
from seacanary.wiring import newcomers, review_links

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
    """Sources to publishers on one machine. Built, run once, and thrown away.

    Attributes:
        health: what probes are told of it.
    """

    def __init__(
        self,
        config: StationConfig,
        *,
        detector: Detector,
        metrics: Metrics,
        file: Path | None = None,
        on_events: Callable[[Sequence[PresenceEvent]], None] = lambda _: None,
        system_s: Callable[[], float] = time.time,
    ) -> None:
        """Wire a station; nothing is opened yet.

        Args:
            config: the station's whole configuration.
            detector: the model, loaded.
            metrics: what to count on.
            file: the configuration was read from, to be read again by reload(); None: it cannot be.
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
        self._beside: Beside | None = None
        self._reloading = Reloading(config, file, metrics=metrics, on_news=self._post_news, now_s=system_s)
        self.health = StationHealth(config, model_id=detector.contract.model_id, provider=detector.provider)
        metrics.build.info({"version": __version__, "model": detector.contract.model_id, "provider": detector.provider})

    def stop(self) -> None:
        """End capture here; what was captured is analysed, journalled and published."""
        self._stop_asked = True
        if self._listening is not None:
            self._listening.stop()

    def reload(self) -> None:
        """Read the configuration again soon, and change what can be changed; /health tells what came of it."""
        self._reloading.ask()

    def in_force(self) -> StationConfig:
        """The configuration as reloads have changed it so far; may be called from any thread."""
        return self._reloading.in_force

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
        await journal.begin(newcomers(self._config))  # before the first event of this run
        feeds = self._feeds(await journal.states(), await journal.done_files())
        for orphan, events in feeds.orphans():
            await self._journalling.take(journal, events, orphan)
        async with AsyncExitStack() as opened:
            links = review_links(self._config)
            beside = await opened.enter_async_context(open_beside(self._surroundings(journal), self._model(), links))
            self._beside = beside
            self._listening = listening = self._listen(journal, feeds.make(), beside)
            if self._stop_asked:
                listening.stop()
            note = partial(self._telemetry.delivery_changed, self._system_s)
            over = self._telemetry.delivery_over
            deliveries = await opened.enter_async_context(
                Deliveries.open(journal, self._config, links=links, on_change=note, on_gone=over)
            )
            beside.parts += [deafness_part(beside.conditions, listening.owing), *self._effort(), *deliveries.parts]
            beside.parts.append(self._reloading.part(self._changeable(journal, feeds, beside, deliveries)))
            await self._work(journal, listening, beside, deliveries)
            unsent = await deliveries.unsent()
        self._export()
        ledger = {name: hydrophone.intake.ledger.totals for name, hydrophone in self._hydrophones.items()}
        return StationSummary(ledger, dict(self._journalling.kinds), unsent, self._troubles(listening))

    def _feeds(self, states: Mapping[str, str], done_files: Collection[str]) -> Feeds:
        self._done_files |= set(done_files)
        feeds = Feeds(
            self._config,
            self._detector.contract,
            states,
            done_files=self._done_files,
            on_file_done=self._note_file,
            on_change=self._source_changed,
        )
        self._sources = feeds.sources
        return feeds

    def _surroundings(self, journal: Journal) -> Surroundings:
        return Surroundings(
            config=self._config,
            journal=journal,
            metrics=self._metrics,
            record=partial(self._journalling.record, journal),
        )

    def _changeable(self, journal: Journal, feeds: Feeds, beside: Beside, deliveries: Deliveries) -> Changeable:
        def use(presence: PresenceSection) -> None:
            feeds.use(presence)
            for hydrophone in self._hydrophones.values():
                hydrophone.use(presence)

        return Changeable(self._detector.contract, journal, beside, deliveries, use)

    def _effort(self) -> list[Part]:
        if self._config.effort is None:
            return []
        effort = EffortLog(self._config.effort, self._accounts)
        return [Part("effort", effort.run, drain=effort.drain)]

    def _accounts(self) -> dict[str, Account]:
        live = self._listening.silent_s() if self._listening else {}
        intakes = {name: hydrophone.intake for name, hydrophone in self._hydrophones.items() if name in live}
        return {
            name: Account(intake.sample_rate_hz, intake.ledger.totals)
            for name, intake in intakes.items()
            if intake.sample_rate_hz
        }

    def _model(self) -> Model:
        return Model(self._detector, lambda: self._listening.waiting if self._listening else 0)

    def _source_changed(self, name: str, change: SourceChange) -> None:
        self._telemetry.source_changed(name, change)
        self.health.source_changed(name, change)

    def _listen(self, journal: Journal, feeds: Sequence[Feed], beside: Beside) -> Listening:
        self.health.listen_to([feed.name for feed in feeds if feed.live])
        return Listening(
            feeds,
            detector=self._detector,
            batching=self._config.batching,
            metrics=self._metrics,
            tell=partial(self._take_in, journal),
            audience=beside,
        )

    async def _work(self, journal: Journal, listening: Listening, beside: Beside, deliveries: Deliveries) -> None:
        """Listen, deliver, export and watch, until listening is over and the rest has had its time."""
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(self._export_always()),
                group.create_task(self._watch_silence(journal)),
                group.create_task(self.health.pulse(journal)),
                group.create_task(beside.run()),
            ]
            await listening.run()
            await beside.remove(RELOAD, within_s=DRAIN_S)
            if not await beside.drain(DRAIN_S):
                log.warning("stopping with clips or alerts unfinished; they are made at the next start")
            if not await deliveries.drain(DRAIN_S):
                log.warning("stopping with events undelivered; they go out at the next start")
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
            self.health.concluded(item.hydrophone)
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
        self.health.post(
            silent_s=self._listening.silent_s() if self._listening else {},
            hydrophones=self._hydrophones,
            deliveries=self._telemetry.deliveries,
            conditions=self._beside.conditions.held if self._beside else (),
            configuration=self._reloading.details(),
            now_s=self._system_s(),
        )

    def _post_news(self) -> None:
        if self._listening is not None:  # else it is starting, and probes are told so
            self._export()

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
