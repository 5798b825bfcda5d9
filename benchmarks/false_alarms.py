"""Counts what a model calls present where nothing is, and which noise sounded then."""

import asyncio
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.animal_free import AnimalFreeSource, Recipe, Soundings, Stay, plan_sha256, stays_of
from seacanary.batching import BatchingSection
from seacanary.contract import ModelContract
from seacanary.detection import Detector
from seacanary.events import PresenceEvent
from seacanary.guard import GuardSection
from seacanary.hydrophone import Hydrophone
from seacanary.listening import Conclusion, Feed, Listening
from seacanary.metrics import Metrics
from seacanary.observations import Detection
from seacanary.presence_rules import PresenceSection

NOISE_ONLY = "noise_only"


@dataclass(slots=True)
class WindowCount:
    """Windows of one call type, in all or while one kind sounded.

    Attributes:
        windows: in which the call type was observed.
        over_enter: of these, with a probability of at least the model's `enter`.
        highest: highest probability of any.
    """

    windows: int = 0
    over_enter: int = 0
    highest: float = 0.0

    def add(self, probability: float, *, enter: float) -> None:
        """Count a window."""
        self.windows += 1
        self.over_enter += probability >= enter
        self.highest = max(self.highest, round(probability, 4))

    def merge(self, other: "WindowCount") -> None:
        """Count another's windows too."""
        self.windows += other.windows
        self.over_enter += other.over_enter
        self.highest = max(self.highest, other.highest)


@dataclass(slots=True)
class KindCount:
    """How much of a kind was heard.

    Attributes:
        scenes: in which it sounded.
        stretches: times it was heard; sounds that overlap are one.
        heard_s: how long in all.
    """

    scenes: int = 0
    stretches: int = 0
    heard_s: float = 0.0


class FalseEvent(BaseModel):
    """A presence that started although no animal was there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    species: str
    call_types: tuple[str, ...]
    scene: int
    onset_s: float = Field(description="seconds into the piece")
    peak_probability: float = Field(description="highest when it started")
    kinds: tuple[str, ...] = Field(description="hard negatives that sounded from onset to start; none: noise only")
    background: tuple[str, ...] = Field(description="what sounded all the time")


class PieceResult(BaseModel):
    """One piece, counted. `windows` and `kinds` go by kind, `all` being every window."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    piece: int = Field(description="number of the piece, and its seed")
    model_id: str
    recipe: Recipe
    plan_sha256: str
    scenes: int
    seconds: float
    events: tuple[FalseEvent, ...]
    windows: dict[str, dict[str, WindowCount]] = Field(description="kind -> call type -> count")
    kinds: dict[str, KindCount]
    background_s: dict[str, float]
    cpu_s: float
    wall_s: float
    machine: str
    date: str


class Tally:
    """Collects the conclusions of a piece, scene by scene."""

    def __init__(self, contract: ModelContract) -> None:
        self._enter = {call_type.name: call_type.enter for call_type in contract.call_types}
        self.windows: dict[str, dict[str, WindowCount]] = {}
        self.kinds: dict[str, KindCount] = {}
        self.background_s: dict[str, float] = {}
        self.events: list[FalseEvent] = []

    def conclude(self, conclusion: Conclusion, *, stay: Stay, soundings: Soundings) -> None:
        """Count a window and the presences it started."""
        item = conclusion.item
        if not isinstance(item, Detection):
            return
        kinds = soundings.during(item.first_sample, item.end_sample)
        for kind in ("all", *(kinds or (NOISE_ONLY,))):
            counts = self.windows.setdefault(kind, {})
            for name, probability in item.probability.items():
                counts.setdefault(name, WindowCount()).add(probability, enter=self._enter[name])
        for event in conclusion.events:
            if event.kind == "started":
                sounding = soundings.during(event.onset_sample, item.end_sample)
                self.events.append(_false_event(event, stay, sounding))

    def close(self, stay: Stay, soundings: Soundings, *, sample_rate_hz: int) -> None:
        """A scene is over: add up what sounded in it."""
        for kind, stretches in soundings.stretches.items():
            count = self.kinds.setdefault(kind, KindCount())
            count.scenes += 1
            count.stretches += len(stretches)
            count.heard_s += sum(end - first for first, end in stretches) / sample_rate_hz
        for name in stay.background:
            self.background_s[name] = self.background_s.get(name, 0.0) + stay.seconds


def _false_event(event: PresenceEvent, stay: Stay, kinds: tuple[str, ...]) -> FalseEvent:
    return FalseEvent(
        species=event.species,
        call_types=event.call_types,
        scene=stay.number,
        onset_s=round(stay.first_s + event.onset_sample / event.sample_rate_hz, 2),
        peak_probability=round(event.peak_probability, 4),
        kinds=kinds,
        background=stay.background,
    )


def count_piece(piece: int, recipe: Recipe, detector: Detector, *, told: Callable[[float], None]) -> PieceResult:
    """Listen to a piece, each stay as `seacanary analyze` listens to a recording.

    Args:
        piece: number of the piece.
        recipe: what it is made of.
        detector: the model.
        told: called with the seconds done after each stay.
    """
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    stays, tally = stays_of(piece, recipe), Tally(detector.contract)
    for stay in stays:
        asyncio.run(_listen(stay, recipe, detector, tally))
        told(stay.seconds)
    return PieceResult(
        piece=piece,
        model_id=detector.contract.model_id,
        recipe=recipe,
        plan_sha256=plan_sha256(piece, recipe),
        scenes=len(stays),
        seconds=recipe.piece_s,
        events=tuple(tally.events),
        windows={kind: tally.windows[kind] for kind in sorted(tally.windows)},
        kinds={kind: tally.kinds[kind] for kind in sorted(tally.kinds)},
        background_s={name: round(seconds, 1) for name, seconds in sorted(tally.background_s.items())},
        cpu_s=round(time.process_time() - began_cpu_s, 1),
        wall_s=round(time.monotonic() - began_s, 1),
        machine=_machine(),
        date=datetime.now(UTC).date().isoformat(),
    )


async def _listen(stay: Stay, recipe: Recipe, detector: Detector, tally: Tally) -> None:
    name = f"stay-{stay.number}"
    source = AnimalFreeSource(stay, name=name, sample_rate_hz=recipe.sample_rate_hz)

    def make(hydrophone: str) -> Hydrophone:
        return Hydrophone(
            hydrophone,
            station="false-presence",
            contract=detector.contract,
            presence=PresenceSection(),
            guard=GuardSection(),
            pad_at_end=True,
        )

    async def tell(conclusion: Conclusion) -> None:
        tally.conclude(conclusion, stay=stay, soundings=source.soundings)

    listening = Listening(
        [Feed(name, source, make, patient=True)],
        detector=detector,
        batching=BatchingSection(max_windows=8, deadline_s=0, queue_windows=16),
        metrics=Metrics(),
        tell=tell,
    )
    await listening.run()
    if listening.windows_failed:
        raise RuntimeError(f"the model failed on {listening.windows_failed} windows of {name}; nothing can be counted")
    tally.close(stay, source.soundings, sample_rate_hz=recipe.sample_rate_hz)


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{cpu}, {platform.system()}, Python {platform.python_version()}"
