"""From the end of the first positive window to a webhook received and verified: a live station of simulated calls."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self
from uuid import UUID

import numpy as np

from seacanary.audio import Window
from seacanary.config import StationConfig, parse_config
from seacanary.contract import ModelContract
from seacanary.detection import Detector, DetectorSection
from seacanary.events import AlertEvent, PresenceEvent
from seacanary.journal import Journal
from seacanary.metrics import Metrics
from seacanary.observations import Detection
from seacanary.presence_rules import PresenceSection
from seacanary.presence_sighting import sighting_of
from seacanary.station import Station, StationSummary
from webhook_receiver import SECRET, Received, Receiver, Reply

SPECIES = "beluga"
HOLD_S = 3.0  # short, so that one bout is over before the next: it does not come into the latency
# A source that was opened anew would begin a new epoch, and what a busy machine was late with would not be seen.
PATIENT: Mapping[str, float] = {"stall_s": 60, "opening_s": 60}
STAGES = ("rule", "audio", "event", "alert", "webhook")

# The demo's belugas, none of its porpoises; pauses and calls per bout are the simulation's own.
CALLS: Mapping[str, object] = {
    "whistle": {"bouts_per_min": 4, "snr_db": [14, 26]},
    "beluga_click": {"bouts_per_min": 2, "snr_db": [20, 35]},
    "porpoise_click": {"bouts_per_min": 0},
}


@dataclass(frozen=True, slots=True)
class Timeline:
    """One alert's way.

    Attributes:
        positive: when the last sample of the first positive window of the opening was recorded, by the stream's time.
        decided: the same of the window that made it a presence: k positive ones of n.
        asked: when the model was asked about that window: the audio has come, and waited its turn.
        event: when the `started` event was in the journal.
        alert: when the alert was.
        webhook: when the receiver had verified its webhook.
    """

    positive: datetime
    decided: datetime
    asked: datetime
    event: datetime
    alert: datetime
    webhook: datetime

    @property
    def latency_s(self) -> float:
        """From the end of the first positive window to the webhook."""
        return (self.webhook - self.positive).total_seconds()

    @property
    def stages_s(self) -> dict[str, float]:
        """The latency's parts, by STAGES."""
        instants = (self.positive, self.decided, self.asked, self.event, self.alert, self.webhook)
        pairs = zip(STAGES, instants, instants[1:], strict=False)
        return {stage: (end - begin).total_seconds() for stage, begin, end in pairs}


@dataclass(frozen=True, slots=True)
class Listened:
    """What a run came to.

    Attributes:
        timelines: of every alert whose webhook came.
        lost: alerts in the journal whose webhook did not come.
        started: `started` events of the species.
        minutes: how long it ran.
        summary: the station's own account.
        model_id: of the model.
    """

    timelines: Sequence[Timeline]
    lost: int
    started: int
    minutes: float
    summary: StationSummary
    model_id: str


class Arrivals:
    """When each webhook was received and verified, by id; what does not verify is refused."""

    def __init__(self, wanted: int) -> None:
        self._wanted, self._loop = wanted, asyncio.get_running_loop()
        self.at: dict[str, datetime] = {}
        self.enough = asyncio.Event()

    def take(self, request: Received) -> Reply:
        """Answer a request, on the receiver's thread."""
        request.verified()
        self.at.setdefault(request.id, datetime.now(UTC))
        if len(self.at) >= self._wanted:
            self._loop.call_soon_threadsafe(self.enough.set)
        return Reply()


@dataclass(frozen=True, slots=True)
class Asked:
    """A window that the model was asked about.

    Attributes:
        detection: its answer.
        at: when it was asked.
    """

    detection: Detection
    at: datetime


class TappedDetector(Detector):
    """The station's detector, whose answers are kept."""

    asked: list[Asked]

    @classmethod
    def load(cls, section: DetectorSection) -> Self:
        """As Detector.load."""
        detector = super().load(section)
        detector.asked = []
        return detector

    def detect(self, windows: Sequence[Window]) -> list[Detection]:
        """As Detector.detect."""
        at = datetime.now(UTC)
        detections = super().detect(windows)
        self.asked += [Asked(detection, at) for detection in detections]
        return detections


def station_config(folder: Path, *, hydrophones: int, redis_url: str, webhook_url: str) -> StationConfig:
    """A whole station; each hydrophone has a rule of its own, or overlapping bouts would be one alert."""
    names = [f"h{number}" for number in range(hydrophones)]
    rule = {"species": [SPECIES], "notices": ["heard"], "cooldown_s": 0, "rate_limit": {"messages": 1000, "per_s": 60}}
    tree: dict[str, object] = {
        "station": {"name": "bench"},
        "supervision": PATIENT,
        "sources": [
            {
                "kind": "simulated",
                "hydrophones": names,
                "sample_rate_hz": 384_000,
                "pace": "realtime",
                "scene": {"seed": 1, **CALLS},
            }
        ],
        "presence": {"rule": {"hold_s": HOLD_S}},
        "journal": {"path": str(folder / "journal.db")},
        "publishers": [
            {"kind": "redis_streams", "url": redis_url},
            {"kind": "webhook", "url": webhook_url, "secret": SECRET, "allow_private_networks": True},
        ],
        "alerts": {"rules": [{"name": name, "hydrophones": [name], **rule} for name in names]},
        "evidence": {"path": str(folder / "evidence")},
        "selftest": {},
        "web": {"port": 0, "public_url": "http://127.0.0.1:8320"},
        "metrics": {"enabled": False},
    }
    return parse_config(tree, where="benchmark")


async def listen(folder: Path, *, hydrophones: int, redis_url: str, minutes: float, alerts: int) -> Listened:
    """Run a station in real time until so many alerts have come, or time is up.

    Args:
        folder: for journal and evidence.
        hydrophones: how many are simulated.
        redis_url: of a server, for every event.
        minutes: longest run.
        alerts: as many are enough.
    """
    arrivals = Arrivals(alerts)
    detector = TappedDetector.load(DetectorSection())
    with Receiver(arrivals.take) as receiver:
        config = station_config(folder, hydrophones=hydrophones, redis_url=redis_url, webhook_url=receiver.url)
        station = Station(config, detector=detector, metrics=Metrics())
        began_s = time.monotonic()
        running = asyncio.create_task(station.run())
        enough = asyncio.create_task(arrivals.enough.wait())
        await asyncio.wait({running, enough}, timeout=60 * minutes, return_when=asyncio.FIRST_COMPLETED)
        enough.cancel()
        ran_s = time.monotonic() - began_s
        station.stop()
        summary = await running
    detector.close()
    started, alerted = await _journalled(config.journal.path)
    openings = Openings(detector.asked, detector.contract, config.presence)
    timelines = [
        Timeline(*openings.of(event), begun, alert_at, arrivals.at[str(alert.id)])
        for alert, alert_at in alerted
        for event, begun in (started[alert.events[0]],)
        if str(alert.id) in arrivals.at
    ]
    return Listened(
        timelines, len(alerted) - len(timelines), len(started), ran_s / 60, summary, detector.contract.model_id
    )


class Openings:
    """Finds the windows that opened a presence among all that the model was asked about."""

    def __init__(self, asked: Iterable[Asked], contract: ModelContract, presence: PresenceSection) -> None:
        self._thresholds = presence.thresholds_for(contract, SPECIES)
        self._certain = presence.rule_for(SPECIES).certain
        self._by_hydrophone: dict[str, list[Asked]] = {}
        for one in asked:
            self._by_hydrophone.setdefault(one.detection.hydrophone, []).append(one)

    def of(self, event: PresenceEvent) -> tuple[datetime, datetime, datetime]:
        """When the opening's first window was recorded to its end, when its last was, and when that was asked about.

        Raises:
            LookupError: the event does not begin with any of the windows: the measurement would be wrong.
        """
        windows = sorted(
            self._by_hydrophone[event.hydrophone], key=lambda one: (one.detection.epoch, one.detection.first_sample)
        )
        for place, one in enumerate(windows):
            first = one.detection
            if first.epoch == event.epoch and first.end_sample > event.onset_sample and self._opens(first):
                last = windows[place + event.windows_seen - 1]
                return recorded(first), recorded(last.detection), last.at
        raise LookupError(f"no positive window begins {event}")

    def _opens(self, window: Detection) -> bool:
        return sighting_of(window, self._thresholds, certain=self._certain, persistent=frozenset()).over_enter


def recorded(window: Detection) -> datetime:
    """When a window's last sample was recorded, by the stream's clock or by its epoch: whichever is earlier.

    An epoch that was stamped late, as a busy machine may do it, would make every latency look shorter.
    """
    by_clock = window.start + timedelta(seconds=(window.end_sample - window.first_sample) / window.sample_rate_hz)
    return min(by_clock, window.epoch + timedelta(seconds=window.end_sample / window.sample_rate_hz))


def quantiles_s(values: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum, seconds."""
    return {
        "p50_s": round(float(np.percentile(values, 50)), 3),
        "p99_s": round(float(np.percentile(values, 99)), 3),
        "max_s": round(max(values), 3),
    }


async def _journalled(
    path: Path,
) -> tuple[dict[UUID, tuple[PresenceEvent, datetime]], list[tuple[AlertEvent, datetime]]]:
    """All `started` events by id, and all alerts, each with its time of append."""
    started: dict[UUID, tuple[PresenceEvent, datetime]] = {}
    alerts: list[tuple[AlertEvent, datetime]] = []
    async with await Journal.open_to_read(path) as journal:
        async for entry in journal.entries():
            at = datetime.fromtimestamp(entry.entry_ms / 1000, UTC)
            if isinstance(entry.event, PresenceEvent) and entry.event.kind == "started":
                started[entry.event.id] = (entry.event, at)
            elif isinstance(entry.event, AlertEvent):
                alerts.append((entry.event, at))
    return started, alerts
