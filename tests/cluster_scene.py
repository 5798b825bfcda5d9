"""Simulated audio of a few hydrophones, as a station's events and as what an edge sends for it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byte_models import write_byte_model
from fakes import EPOCH, ScriptedSource, blocks_of, tiny_contract
from seacanary.audio import AudioBlock, Window
from seacanary.batching import BatchingSection
from seacanary.cluster.envelope import EndEnvelope, Envelope, ImageEnvelope, contract_sha256
from seacanary.detection import Detector, DetectorSection
from seacanary.events import PresenceEvent
from seacanary.guard import GuardSection
from seacanary.hydrophone import Hydrophone
from seacanary.image_detection import Transformer
from seacanary.listening import Conclusion, Feed, Listening
from seacanary.metrics import Metrics
from seacanary.presence_rules import PresenceRule, PresenceSection

STATION = "test"
RATE_HZ = 8000
PRESENCE = PresenceSection(rule=PresenceRule(hold_s=0.8, update_s=2.0))
GUARD = GuardSection(after_s=20.0, stop_s=5.0)
RUN = EPOCH - timedelta(hours=1)


@dataclass(frozen=True)
class Scene:
    """The same audio twice.

    Attributes:
        model: folder of T and M.
        events: of the station that hears it, in process.
        sent: of an edge that hears it, by hydrophone, in order.
    """

    model: Path
    events: list[PresenceEvent]
    sent: dict[str, list[Envelope]]

    @property
    def records(self) -> int:
        """Envelopes of all hydrophones."""
        return sum(map(len, self.sent.values()))

    @property
    def sections(self) -> dict[str, Any]:
        """What its workers must have alike."""
        return {
            "model": {"path": str(self.model), "sessions": 1},
            "presence": PRESENCE.model_dump(mode="json"),
            "guard": GUARD.model_dump(mode="json"),
        }


def make_scene(folder: Path, *, hydrophones: int = 3, seconds: float = 60.0, seed: int = 1) -> Scene:
    """Whistling bouts in noise, with a gap and a new epoch in each stream."""
    model = DetectorSection(path=write_byte_model(folder), sessions=1)
    blocks = {f"h{i}": _blocks(f"h{i}", seconds, seed=seed + i) for i in range(hydrophones)}
    transformer = Transformer.load(model)
    sent = {name: _sent(name, heard, transformer) for name, heard in blocks.items()}
    transformer.close()
    return Scene(folder, _events(model, list(blocks.values())), sent)


def hydrophone(name: str) -> Hydrophone:
    """A hydrophone of the scene, at its beginning."""
    return Hydrophone(name, station=STATION, contract=tiny_contract(), presence=PRESENCE, guard=GUARD, pad_at_end=False)


def by_id(events: Sequence[PresenceEvent]) -> dict[str, PresenceEvent]:
    """Events by id; those with the same id must be the same."""
    found: dict[str, PresenceEvent] = {}
    for event in events:
        assert found.setdefault(str(event.id), event) == event
    return found


def whistling(seconds: float, *, seed: int) -> NDArray[np.float32]:
    """Bouts of sound that the tiny model takes for calls, in noise; float32 [n], full scale ±1."""
    random = np.random.default_rng(seed)
    pcm = random.normal(0, 0.01, round(seconds * RATE_HZ)).astype(np.float32)
    at_s = 0.0
    while at_s < seconds:
        at_s += random.exponential(2.0)
        length_s = random.uniform(0.05, 1.5)
        pcm[round(at_s * RATE_HZ) : round((at_s + length_s) * RATE_HZ)] *= random.uniform(20, 120)
        at_s += length_s
    return np.clip(pcm, -1, 1)


def _blocks(name: str, seconds: float, *, seed: int) -> list[AudioBlock]:
    pcm = whistling(seconds, seed=seed)
    half = pcm.size // 2
    first = blocks_of(pcm[:half], [4000] * (half // 4000), hydrophone=name)
    del first[len(first) // 2]  # a gap
    epoch = EPOCH + timedelta(seconds=seconds / 2 + 0.3)
    return first + blocks_of(pcm[half:], [5000] * (half // 5000), hydrophone=name, epoch=epoch)


def _sent(name: str, blocks: Sequence[AudioBlock], transformer: Transformer) -> list[Envelope]:
    heard = hydrophone(name)
    windows = [window for block in blocks for window in heard.hear(block)] + list(heard.end())
    images = transformer.images(windows)
    sha256 = contract_sha256(transformer.contract)
    sent: list[Envelope] = [
        ImageEnvelope(image=image, number=number, contract_sha256=sha256, station=STATION, run=RUN, **_place(window))
        for number, (window, image) in enumerate(zip(windows, images, strict=True))
    ]
    end = EndEnvelope(
        station=STATION,
        run=RUN,
        number=len(sent),
        hydrophone=name,
        reason="stream_ended",
    )
    return [*sent, end]


def _place(window: Window) -> dict[str, object]:
    names = ("hydrophone", "epoch", "first_sample", "end_sample", "sample_rate_hz", "start", "missing_fraction")
    return {name: getattr(window, name) for name in (*names, "clipped_fraction", "source_file")}


def _events(model: DetectorSection, blocks: Sequence[Sequence[AudioBlock]]) -> list[PresenceEvent]:
    events: list[PresenceEvent] = []

    async def tell(conclusion: Conclusion) -> None:
        events.extend(conclusion.events)

    detector = Detector.load(model)
    feeds = [Feed(f"s{i}", ScriptedSource(heard), hydrophone, patient=True) for i, heard in enumerate(blocks)]
    batching = BatchingSection(max_windows=8, deadline_s=0)
    asyncio.run(Listening(feeds, detector=detector, batching=batching, metrics=Metrics(), tell=tell).run())
    detector.close()
    return events
