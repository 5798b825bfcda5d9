"""SelfTest: how well this station would hear a call right now, tried out on copies of its live audio.

What is made here stays here. The private hydrophone has a name and a station of its own, its
events are looked at and dropped, and this module is given nothing through which they could leave:
no journal, no publisher, no callback; only metrics.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal, TypeVar
from zlib import crc32

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from seacanary.audio import AudioBlock, Window, read_only
from seacanary.contract import ModelContract
from seacanary.detection import Detector
from seacanary.events import PresenceEvent
from seacanary.guard import GuardSection
from seacanary.hydrophone import Hydrophone
from seacanary.metrics import Metrics
from seacanary.observations import Detection
from seacanary.presence_rules import PresenceSection
from seacanary.quality.signal import silent_share
from seacanary.selftest_calls import UsualNoise, with_bout
from seacanary.simulation.sounds import CALL_TYPES, CallTypeName

log = logging.getLogger(__name__)

T = TypeVar("T")

STATION = "selftest"
Outcome = Literal["heard", "missed", "void", "skipped"]

# Live windows go first: while any wait, a trial does; a station that is never idle for so long is not tested.
LOOK_AGAIN_S = 0.02
PATIENCE_S = 10.0
MOST_SILENT = 0.1


class SelfTestSection(BaseModel):
    """The continuous self-test."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    enabled: bool = Field(True, description="mix simulated calls into copies of the live audio and see what is heard")
    interval_s: float = Field(60.0, gt=0, description="seconds between trials; hydrophones take turns")
    copy_s: float = Field(5.0, ge=1, le=60, description="seconds of live audio copied; k of n windows must fit")
    call_types: tuple[CallTypeName, ...] = Field(CALL_TYPES, min_length=1, description="calls that are mixed in")
    snr_db: tuple[float, ...] = Field(
        (10.0, 20.0, 30.0), min_length=1, description="levels over the usual noise of the hydrophone (L90 of a day), dB"
    )
    recall_over: int = Field(20, ge=1, le=10_000, description="trials over which recall is taken, of each kind")
    seed: int = Field(1, ge=0, description="draws the calls")


@dataclass(frozen=True, slots=True)
class Trial:
    """One call mixed into one copy.

    Attributes:
        hydrophone: whose live audio was copied.
        call_type: what was mixed in.
        snr_db: how loud, over the usual noise.
        outcome: heard or missed; void where such a call was there before mixing; skipped where
            live windows left no time, the model did not answer, or the hydrophone is silent.
    """

    hydrophone: str
    call_type: CallTypeName
    snr_db: float
    outcome: Outcome


class _Ring:
    """The latest blocks of one hydrophone, as far as they join without a gap."""

    def __init__(self) -> None:
        self._blocks = deque[AudioBlock]()
        self._samples = 0
        self._fresh = False

    def put(self, block: AudioBlock, *, copy_s: float) -> None:
        if self._blocks and not _joins(self._blocks[-1], block):
            self._blocks.clear()
            self._samples = 0
        self._blocks.append(block)
        self._samples += block.samples.size
        self._fresh = True
        wanted = round(copy_s * block.sample_rate_hz)
        while self._samples - self._blocks[0].samples.size >= wanted:
            self._samples -= self._blocks.popleft().samples.size

    def copied(self, *, copy_s: float) -> AudioBlock | None:
        """A copy of all of it; None if that is too short, or nothing has come since the last one."""
        if not self._fresh or self._samples < copy_s * self._blocks[-1].sample_rate_hz:
            return None
        self._fresh = False
        samples = np.concatenate([block.samples for block in self._blocks])
        return replace(self._blocks[0], samples=read_only(samples), arrival=None, source_file=None)


class SelfTest:
    """hear() keeps a few seconds of each live hydrophone; run() tries one out at every interval."""

    def __init__(
        self,
        section: SelfTestSection,
        *,
        detector: Detector,
        presence: PresenceSection,
        guard: GuardSection,
        metrics: Metrics,
        live_windows: Callable[[], int],
    ) -> None:
        """Prepare.

        Args:
            section: what is tried, and how often.
            detector: the station's own, so that the same model answers.
            presence: the station's own rules.
            guard: the station's own.
            metrics: the only way out.
            live_windows: how many windows of live audio wait for the detector now.
        """
        self._section, self._detector, self._metrics = section, detector, metrics
        self._presence, self._guard, self._live_windows = presence, guard, live_windows
        self._rings: dict[str, _Ring] = {}
        self._tried: dict[str, int] = {}
        self._noise: dict[str, UsualNoise] = {}
        self._failed = False
        self._outcomes: dict[tuple[str, CallTypeName, float], deque[bool]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="selftest")

    def hear(self, block: AudioBlock) -> None:
        """Keep a block of a live hydrophone for a while; takes microseconds, copies nothing."""
        self._rings.setdefault(block.hydrophone, _Ring()).put(block, copy_s=self._section.copy_s)

    def use(self, presence: PresenceSection) -> None:
        """Judge by other rules from the next try on."""
        self._presence = presence

    async def run(self) -> None:
        """Try one hydrophone after the other until cancelled."""
        while True:
            await asyncio.sleep(self._section.interval_s)
            await self.once()

    async def aclose(self) -> None:
        """Wait for what the thread is doing, a window at most."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    async def once(self) -> Trial | None:
        """Try the hydrophone whose turn it is; None if none has enough audio that is new."""
        for hydrophone in sorted(self._rings, key=lambda name: self._tried.get(name, 0)):
            copy = self._rings[hydrophone].copied(copy_s=self._section.copy_s)
            kinds = [] if copy is None else self._kinds(copy.sample_rate_hz)
            if copy is not None and kinds:
                number = self._tried[hydrophone] = self._tried.get(hydrophone, 0) + 1
                call_type, snr_db = kinds[(number - 1) % len(kinds)]
                outcome = await self._outcome(copy, call_type, snr_db, number)
                trial = Trial(hydrophone, call_type, snr_db, outcome)
                self._count(trial)
                return trial
        return None

    def _kinds(self, sample_rate_hz: int) -> list[tuple[CallTypeName, float]]:
        """What can be tried at a rate; levels change fastest, so that a short run has tried them all."""
        known = set(self._detector.contract.call_type_names) - self._detector.contract.unobservable(sample_rate_hz)
        return [(name, snr_db) for name in self._section.call_types if name in known for snr_db in self._section.snr_db]

    async def _outcome(self, copy: AudioBlock, call_type: CallTypeName, snr_db: float, number: int) -> Outcome:
        try:
            detections, _ = await self._analysed(copy)
            if any(self._is_positive(detection, call_type) for detection in detections):
                return "void"
            mixed = await self._on_thread(lambda: self._mixed(copy, call_type, snr_db, number))
            if mixed is None:
                return "skipped"
            _, events = await self._analysed(mixed)
        except TimeoutError:
            return "skipped"
        except Exception:  # whatever the runtime raises: the trial is lost, the station goes on
            if not self._failed:
                log.exception("a self-test could not be carried out; further failures are counted, not logged")
            self._failed = True
            return "skipped"
        return "heard" if any(call_type in event.call_types for event in events) else "missed"

    def _mixed(self, copy: AudioBlock, call_type: CallTypeName, snr_db: float, number: int) -> AudioBlock | None:
        """The copy with calls in it; None if it is silent: there is no noise for a level to refer to."""
        if silent_share(copy.samples, copy.sample_rate_hz) > MOST_SILENT:
            return None
        noise = self._noise.get(copy.hydrophone)
        if noise is None or noise.sample_rate_hz != copy.sample_rate_hz:
            noise = self._noise[copy.hydrophone] = UsualNoise(copy.sample_rate_hz)
        noise.note(copy.samples)
        rng = np.random.default_rng((self._section.seed, crc32(copy.hydrophone.encode()), number))
        mixed = with_bout(copy.samples, noise=noise, call_type=call_type, snr_db=snr_db, rng=rng)
        return replace(copy, samples=read_only(mixed))

    async def _analysed(self, copy: AudioBlock) -> tuple[list[Detection], list[PresenceEvent]]:
        """The same stages as live: intake, windows, the detector, trackers.

        Raises:
            TimeoutError: live windows left no time.
        """
        hydrophone = _private(copy.hydrophone, self._detector.contract, self._presence, self._guard)
        block = replace(copy, hydrophone=hydrophone.name)
        windows = await self._on_thread(lambda: hydrophone.hear(block))
        detections: list[Detection] = []
        events: list[PresenceEvent] = []
        for window in windows:
            detection = await self._detected(window)
            detections.append(detection)
            events += hydrophone.conclude(detection)
        return detections, events

    async def _detected(self, window: Window) -> Detection:
        """One window at a time, and only while no live window waits: a live batch waits for one window at most."""
        await self._let_live_go_first()
        answers: Sequence[Detection] = await self._on_thread(lambda: self._detector.detect([window]))
        return answers[0]

    async def _let_live_go_first(self) -> None:
        for _ in range(round(PATIENCE_S / LOOK_AGAIN_S)):
            if self._live_windows() == 0:
                return
            await asyncio.sleep(LOOK_AGAIN_S)
        raise TimeoutError

    def _is_positive(self, detection: Detection, call_type: CallTypeName) -> bool:
        """Whether a window shows any call of the call type's species."""
        contract = self._detector.contract
        species = next(c.species for c in contract.call_types if c.name == call_type)
        thresholds = self._presence.thresholds_for(contract, species)
        return any(detection.probability.get(name, 0.0) >= t.enter for name, t in thresholds.items())

    def _count(self, trial: Trial) -> None:
        labels = (trial.hydrophone, trial.call_type, f"{trial.snr_db:g}")
        self._metrics.selftest_calls.labels(*labels, trial.outcome).inc()
        if trial.outcome not in ("heard", "missed"):
            return
        key = (trial.hydrophone, trial.call_type, trial.snr_db)
        latest = self._outcomes.setdefault(key, deque(maxlen=self._section.recall_over))
        latest.append(trial.outcome == "heard")
        self._metrics.selftest_recall.labels(*labels).set(sum(latest) / len(latest))

    async def _on_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _joins(before: AudioBlock, block: AudioBlock) -> bool:
    same_stream = (before.epoch, before.sample_rate_hz) == (block.epoch, block.sample_rate_hz)
    return same_stream and before.end_sample == block.first_sample


def _private(name: str, contract: ModelContract, presence: PresenceSection, guard: GuardSection) -> Hydrophone:
    """The stages of a hydrophone that nobody else knows; it has heard nothing before."""
    return Hydrophone(
        f"{STATION}:{name}", station=STATION, contract=contract, presence=presence, guard=guard, pad_at_end=False
    )
