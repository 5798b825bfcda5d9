"""Edge: a station that captures, cuts windows and runs T, and ships images to where the rest is done."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from seacanary import __version__
from seacanary.audio import AudioBlock
from seacanary.batching import FeedEnded, FileDone, StreamEnded
from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.edge_evidence import EdgeBeside, open_edge_beside
from seacanary.cluster.edge_health import EdgeHealth
from seacanary.cluster.edge_images import Addressing, ImageMaker, Silences
from seacanary.cluster.edge_telemetry import EdgeTelemetry
from seacanary.cluster.envelope import EdgeClock
from seacanary.cluster.image_spool import ImageSpool, SpoolState
from seacanary.cluster.read_files import ReadFiles
from seacanary.cluster.shipping import Carrier, Receipt, Shipping
from seacanary.cluster.spool_schema import SpoolError
from seacanary.cluster.spooling import Spooling
from seacanary.config import SourceSection, check_against_model
from seacanary.deafness import deafness_part
from seacanary.errors import SeaCanaryError, first_of
from seacanary.hydrophone import Hydrophone
from seacanary.image_detection import Transformer
from seacanary.ledger import LedgerTotals
from seacanary.listening import Audience, Conclusion, Feed, Listening
from seacanary.metrics import Metrics
from seacanary.ntp import NtpState, ntp_state
from seacanary.observations import Detection, Imaged
from seacanary.sources.files import FileReport
from seacanary.sources.supervised import SourceChange, SupervisedSource
from seacanary.telemetry import Telemetry
from seacanary.wiring import is_named_by, open_source, plays_recordings, supervision_of, waits_for_us

log = logging.getLogger(__name__)

EXPORT_EVERY_S = 1.0
DRAIN_S = 5.0  # how long a stopping edge waits for its brokers
LOOK_S = 0.05
LAST_EVENTS_S = 10.0  # without a new event: workers have said what they had to say of recordings
LAST_CLIPS_S = 600.0  # however many they say


@dataclass(frozen=True, slots=True)
class EdgeSummary:
    """What a run came to.

    Attributes:
        ledger: where every sample went, by hydrophone; an image on disk counts as analysed.
        unsent: envelopes that wait in the spool for the next start.
        troubles: what could not be done, as sentences.
    """

    ledger: Mapping[str, LedgerTotals]
    unsent: int
    troubles: tuple[str, ...] = ()


class _WithRoom:
    """Lets recordings wait for room in the spool; others listen along."""

    def __init__(self, spooling: Spooling, audience: Audience) -> None:
        self._spooling, self._audience = spooling, audience

    @property
    def has_room(self) -> bool:
        return self._spooling.has_room and self._audience.has_room

    def hear(self, block: AudioBlock, *, live: bool) -> None:
        self._audience.hear(block, live=live)


class Edge:
    """Sources to Kafka on one machine. Built, run once, and thrown away.

    Attributes:
        health: what probes are told of it.
    """

    def __init__(
        self,
        config: EdgeConfig,
        *,
        transformer: Transformer,
        carrier: Carrier,
        metrics: Metrics,
        clock: Callable[[], NtpState | None] = ntp_state,
        system_s: Callable[[], float] = time.time,
    ) -> None:
        """Wire an edge; nothing is opened yet.

        Args:
            config: the edge's whole configuration.
            transformer: T, loaded.
            carrier: to the brokers; closed at the end.
            metrics: what to count on.
            clock: what the kernel says of the system clock.
            system_s: the system clock.

        Raises:
            ConfigError: the configuration does not fit the model.
        """
        check_against_model(config, transformer.contract)
        self._config, self._transformer, self._carrier, self._metrics = config, transformer, carrier, metrics
        self._ntp, self._system_s = clock, system_s
        self._telemetry = Telemetry(metrics)
        self._edge_telemetry = EdgeTelemetry(metrics, system_s=system_s)
        self._addressing = Addressing(config.station.name, transformer.contract)
        self._clock = EdgeClock()
        self._broker_ahead_s: float | None = None
        self._listening: Listening | None = None
        self._stop_asked = False
        self._done_files: set[str] = set()
        self._sources: dict[str, SupervisedSource] = {}
        self._refused_files: list[str] = []
        self._brokers_reached: bool | None = None
        self._spool_state: SpoolState | None = None
        self.health = EdgeHealth(config, model_id=transformer.contract.model_id, provider=transformer.provider)
        metrics.build.info({"version": __version__, "model": transformer.contract.model_id})

    def stop(self) -> None:
        """End capture here; what was captured is put on disk, and shipped if the brokers answer."""
        self._stop_asked = True
        if self._listening is not None:
            self._listening.stop()

    async def run(self) -> EdgeSummary:
        """Listen until all sources have ended or stop() is called.

        Raises:
            SeaCanaryError: a part that the edge cannot do without is broken.
        """
        section = self._config.edge
        spool = await asyncio.to_thread(ImageSpool.open, section.spool, bound_bytes=section.spool_limit_bytes)
        spooling = Spooling(spool, system_s=self._system_s)
        self._done_files |= spool.done_files()
        known = spool.hydrophones()
        try:
            async with open_edge_beside(
                self._config,
                contract=self._transformer.contract,
                metrics=self._metrics,
                give_up=lambda: self._stop_asked,
            ) as beside:
                return await self._run(spooling, known, beside)
        except* SeaCanaryError as group:
            raise first_of(group) from group
        finally:
            await self._carrier.aclose()
            await spooling.aclose()

    async def _run(self, spooling: Spooling, known: Sequence[str], edge_beside: EdgeBeside) -> EdgeSummary:
        feeds = [self._feed(i, section, known) for i, section in enumerate(self._config.sources)]
        self._listening = listening = self._listen(feeds, spooling, edge_beside.beside)
        edge_beside.beside.parts.append(deafness_part(edge_beside.beside.conditions, listening.owing))
        if self._stop_asked:
            listening.stop()
        shipping = Shipping(spooling, self._carrier, on_receipt=self._note_receipt, on_reach=self._note_reach)
        self._read_clock()
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(spooling.run()),
                group.create_task(shipping.run()),
                group.create_task(self._export_always(spooling)),
                group.create_task(self._watch_silence(spooling)),
                group.create_task(edge_beside.beside.run()),
            ]
            await self._end_orphans(spooling, known)
            await listening.run()
            await spooling.flush()
            await self._drain(spooling, shipping)
            await self._drain_beside(edge_beside)
            for task in background:
                task.cancel()
        await self._export(spooling)
        return EdgeSummary(self._ledger(), (await spooling.state()).envelopes, self._troubles(listening))

    def _listen(self, feeds: Sequence[Feed], spooling: Spooling, audience: Audience) -> Listening:
        self.health.listen_to([feed.name for feed in feeds if feed.live])
        files = ReadFiles(spooling.files_done)
        return Listening(
            feeds,
            detector=ImageMaker(self._transformer),
            batching=self._config.batching,
            metrics=self._metrics,
            tell=partial(self._take_in, spooling, files),
            audience=_WithRoom(spooling, audience),
        )

    async def _take_in(self, spooling: Spooling, files: ReadFiles, conclusion: Conclusion) -> None:
        match conclusion.item:
            case FileDone() as done:
                await files.file_done(done)
            case FeedEnded(reason="stream_ended") as ended:
                await files.feed_done(ended.feed)
            case FeedEnded() | Detection():
                return  # stopped: its files are read again; T alone detects nothing
            case item:
                await spooling.put(self._addressing.envelope(item, self._clock))
                if isinstance(item, Imaged):
                    self._metrics.images_spooled.labels(item.hydrophone).inc()
                    self.health.concluded(item.hydrophone)

    def _feed(self, place: int, section: SourceSection, known: Sequence[str]) -> Feed:
        name = f"{place}-{section.kind}"
        source = SupervisedSource(
            partial(open_source, section, done=self._done_files, on_file_done=partial(self._note_file, name)),
            supervision_of(section, self._config.supervision),
            on_change=partial(self._source_changed, name),
        )
        self._sources[name] = source
        feed = Feed(
            name,
            source,
            partial(self._hydrophone, pad_at_end=plays_recordings(section)),
            patient=waits_for_us(section),
            live=not plays_recordings(section),
            names=() if plays_recordings(section) else section.hydrophone_names,
        )
        for hydrophone in known:
            if is_named_by(section, hydrophone):
                feed.hydrophone(hydrophone)  # an open presence must be able to end, even if nothing comes
        return feed

    def _source_changed(self, name: str, change: SourceChange) -> None:
        self._telemetry.source_changed(name, change)
        self.health.source_changed(name, change)

    def _hydrophone(self, name: str, *, pad_at_end: bool) -> Hydrophone:
        return Hydrophone(
            name,
            station=self._config.station.name,
            contract=self._transformer.contract,
            presence=self._config.presence,
            guard=self._config.guard,
            pad_at_end=pad_at_end,
        )

    async def _end_orphans(self, spooling: Spooling, known: Sequence[str]) -> None:
        """End presences of hydrophones that this station no longer has."""
        for name in known:
            if not any(is_named_by(section, name) for section in self._config.sources):
                ended = StreamEnded(name, "lost_coverage")
                await spooling.put(self._addressing.envelope(ended, self._clock))

    async def _watch_silence(self, spooling: Spooling) -> None:
        """Say so when live hydrophones have been silent for longer than a species may be."""
        trackers = self._hydrophone("", pad_at_end=False).trackers
        silences = Silences(sorted({tracker.hold_s for tracker in trackers}))
        while True:
            await asyncio.sleep(EXPORT_EVERY_S)
            silent_s = self._listening.silent_s() if self._listening else {}
            for name, told_s in silences.due(silent_s).items():
                await spooling.put(self._addressing.silence(name, told_s))

    async def _drain(self, spooling: Spooling, shipping: Shipping) -> None:
        """Let the brokers have what waits: all of it while they take it, or, if stopped, what they take soon."""
        loop = asyncio.get_running_loop()
        parcels, until_s = shipping.parcels, loop.time() + DRAIN_S
        while not spooling.is_empty and loop.time() < until_s:
            await asyncio.sleep(LOOK_S)
            if shipping.parcels > parcels and not self._stop_asked:
                parcels, until_s = shipping.parcels, loop.time() + DRAIN_S
        if not spooling.is_empty:
            log.warning("stopping with images unsent; they wait on disk for the next start")

    async def _drain_beside(self, edge_beside: EdgeBeside) -> None:
        """Recordings that have ended are followed by their events for a while; whoever stops us does not wait."""
        if edge_beside.events is not None and not self._stop_asked:
            await edge_beside.events.settle(quiet_s=LAST_EVENTS_S, timeout_s=LAST_CLIPS_S)
        if not await edge_beside.beside.drain(DRAIN_S):
            log.warning("stopping with clips unfinished, or events unread; clips are made at the next start")

    def _note_receipt(self, receipt: Receipt) -> None:
        self._edge_telemetry.shipped(receipt)
        self._broker_ahead_s = receipt.broker_ahead_s

    def _note_reach(self, reached: bool) -> None:
        self._edge_telemetry.reached(reached)
        self._brokers_reached = reached

    def _note_file(self, feed: str, report: FileReport) -> None:
        for warning in report.warnings:
            log.warning("%s", warning)
        self._done_files.add(str(report.path))
        if self._listening is not None:
            self._listening.file_done(FileDone(feed, str(report.path), report.epoch))
        if report.refused:
            self._refused_files.append(report.refused)

    def _read_clock(self) -> None:
        """Note what is known of the clock, for the next images."""
        ntp = self._ntp()
        self._clock = EdgeClock(
            ntp.synchronised if ntp else None, ntp.maximum_error_s if ntp else None, self._broker_ahead_s
        )

    async def _export_always(self, spooling: Spooling) -> None:
        while True:
            await asyncio.sleep(EXPORT_EVERY_S)
            self._read_clock()
            self._post_health(spooling)  # first: it must not wait for the disk
            await self._export(spooling)

    async def _export(self, spooling: Spooling) -> None:
        hydrophones = self._listening.hydrophones if self._listening else {}
        self._telemetry.export_capture(hydrophones, ntp_error_s=self._clock.maximum_error_s)
        self._metrics.clock_synchronised.set(bool(self._clock.synchronised))
        for name, silent_s in (self._listening.silent_s() if self._listening else {}).items():
            self._metrics.audio_age.labels(name).set(silent_s)
        for name, source in self._sources.items():
            self._telemetry.export_source(name, source)
        self._metrics.queue_windows.set(self._listening.waiting if self._listening else 0)
        try:
            self._spool_state = await spooling.state()
            self._edge_telemetry.export(self._spool_state, disk_failures=spooling.disk_failures)
        except SpoolError as exc:
            log.debug("the spool cannot be asked: %s", exc)  # whoever writes says so once

    def _post_health(self, spooling: Spooling) -> None:
        state = self._spool_state
        self.health.post(
            silent_s=self._listening.silent_s() if self._listening else {},
            spool_failing_s=spooling.failing_s,
            spool={
                "brokers_reached": self._brokers_reached,
                "envelopes": state.envelopes if state else None,
                "bytes": state.size_bytes if state else None,
            },
        )

    def _ledger(self) -> dict[str, LedgerTotals]:
        hydrophones = self._listening.hydrophones if self._listening else {}
        return {name: hydrophone.intake.ledger.totals for name, hydrophone in hydrophones.items()}

    def _troubles(self, listening: Listening) -> tuple[str, ...]:
        unusable = [f"source {name}: {error}" for name, error in listening.failed.items()]
        failed = listening.windows_failed
        unanswered = [f"T made no image of {failed} windows"] if failed else []
        return (*unusable, *self._refused_files, *unanswered)
