"""Soundscape: the endless, seeded stream of samples with its truth."""

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from seacanary.simulation.background import Background
from seacanary.simulation.clicks import beluga_train, porpoise_train
from seacanary.simulation.negatives import NEGATIVES, Maker
from seacanary.simulation.propagation import random_path
from seacanary.simulation.scene import Scene
from seacanary.simulation.schedule import Planned, Schedule
from seacanary.simulation.sounds import CALL_TYPES, SPECIES, FloatArray, Rendered, SimulatedCall, Sound
from seacanary.simulation.whistles import HIGHEST_HZ, social_call

_MAKERS: dict[str, tuple[Maker, float | None]] = {
    "whistle": (social_call, HIGHEST_HZ),
    "beluga_click": (beluga_train, None),
    "porpoise_click": (porpoise_train, None),
    **{kind: (negative.make, negative.highest_hz) for kind, negative in NEGATIVES.items()},
}
_CARRIED = 0.3  # a call of which the recorder keeps less (in amplitude) is not carried


@dataclass(frozen=True, slots=True, eq=False)
class _Active:
    kind: str
    position: int
    sound: Sound
    call: SimulatedCall | None

    @property
    def end(self) -> int:
        return self.position + self.sound.end


class Soundscape:
    """An endless hydrophone; the audio does not depend on how the reads are sized.

    Noise and schedule are made in aligned segments of half a second, each
    from (seed, segment index); transients are placed at absolute positions.

    Args:
        scene: what is heard.
        sample_rate_hz: 8 kHz to 576 kHz; calls that it cannot carry are left out.
        planned: sounds put in besides those the scene schedules (positions may be negative).
    """

    def __init__(self, scene: Scene, *, sample_rate_hz: int, planned: Iterable[Planned] = ()) -> None:
        self._scene = scene
        self._rate = sample_rate_hz
        self._segment_samples = sample_rate_hz // 2
        self._background = Background(scene, sample_rate_hz=sample_rate_hz, segment_samples=self._segment_samples)
        self._schedule = Schedule(scene, sample_rate_hz=sample_rate_hz, segment_samples=self._segment_samples)
        self._planned = list(planned)
        heapq.heapify(self._planned)
        self._active: list[_Active] = []
        self._ready: deque[tuple[FloatArray, dict[str, FloatArray]]] = deque()
        self._made = 0  # segments
        self._position = 0

    def render(self, count: int) -> Rendered:
        """The next `count` samples with their truth; continues where the last call stopped."""
        first, end = self._position, self._position + count
        while self._made * self._segment_samples < end:
            self._ready.append(self._segment())
        samples = np.empty(count, np.float32)
        stems: dict[str, FloatArray] = {}
        for number, (segment, parts) in enumerate(self._ready, start=self._made - len(self._ready)):
            start = number * self._segment_samples
            here = slice(max(start - first, 0), min(start + segment.size, end) - first)
            there = slice(here.start + first - start, here.stop + first - start)
            samples[here] = segment[there]
            for name, part in parts.items():
                stems.setdefault(name, np.zeros(count, np.float32))[here] = part[there]
        self._position = end
        truth = self._truth(samples, stems, first=first)
        self._forget()
        return truth

    def _truth(self, samples: FloatArray, stems: dict[str, FloatArray], *, first: int) -> Rendered:
        end = first + samples.size
        calls = [a.call for a in self._active if a.call and a.call.onset_sample < end and a.call.offset_sample > first]
        stems = {name: stem for name, stem in stems.items() if stem.any()}
        heard = {a.kind for a in self._active if a.call is None and a.position < end and a.end > first}
        if self._scene.recorder.lines:
            heard.add("electrical_line")
        for array in (samples, *stems.values()):
            array.setflags(write=False)
        ordered = tuple(sorted(calls, key=lambda call: call.onset_sample))
        return Rendered(samples, stems, ordered, tuple(sorted(heard)))

    def _forget(self) -> None:
        while self._ready and (self._made - len(self._ready) + 1) * self._segment_samples <= self._position:
            self._ready.popleft()
        self._active = [a for a in self._active if a.end > self._position]

    def _segment(self) -> tuple[FloatArray, dict[str, FloatArray]]:
        first = self._made * self._segment_samples
        for planned in self._schedule.segment(self._made):
            heapq.heappush(self._planned, planned)
        samples = self._background.segment()
        while self._planned and self._planned[0].position < first + self._segment_samples:
            active = self._realised(heapq.heappop(self._planned))
            if active is not None:
                self._active.append(active)
        stems = self._sum(samples, first=first)
        self._made += 1
        return samples, stems

    def _sum(self, samples: FloatArray, *, first: int) -> dict[str, FloatArray]:
        """Add what sounds to the background, digitise, in place; return the stems."""
        stems: dict[str, FloatArray] = {}
        lost = np.zeros(0, np.float32)
        for active in self._active:
            if active.position >= first + samples.size or active.end <= first:
                continue
            if active.call is not None:
                into = stems.setdefault(active.call.call_type, np.zeros(samples.size, np.float32))
            elif NEGATIVES[active.kind].scale == "digital":
                into = lost = lost if lost.size else np.zeros(samples.size, np.float32)
            else:
                into = samples
            active.sound.add_to(into, first=first - active.position)
        for stem in stems.values():
            samples += stem
        self._scene.recorder.digitised(samples)
        if lost.size:
            for array in (samples, *stems.values()):
                array[lost > 0] = 0.0
        return stems

    def _realised(self, planned: Planned) -> _Active | None:
        """Draw a planned sound, send it through water and recorder, set its level; None: not carried."""
        rng = np.random.default_rng(planned.seed)
        make, highest_hz = _MAKERS[planned.kind]
        factor = working_factor(self._rate, highest_hz)
        sound = make(rng, sample_rate_hz=self._rate // factor)
        if planned.kind in NEGATIVES and NEGATIVES[planned.kind].scale != "snr":
            return _Active(planned.kind, planned.position, sound.lifted(factor), None)
        if sound.level() < (_CARRIED if sound.measure == "peak" else 1e-3):
            return None
        sound = sound.filtered(random_path(rng, clicks=sound.measure == "peak"))
        before = sound.level()
        recorder = partial(self._scene.recorder.filtered, nyquist_rate_hz=self._rate)
        sound = sound.filtered(recorder)
        if sound.level() < _CARRIED * before:
            return None
        return self._placed(planned, sound, factor=factor)

    def _placed(self, planned: Planned, sound: Sound, *, factor: int) -> _Active:
        """Measured at its own rate (cheaper), then lifted to the stream's."""
        band_hz = sound.band_hz()
        noise = self._background.rms(planned.noise_band_hz or band_hz)
        gain = noise * 10 ** (planned.snr_db / 20) / sound.level()
        sound = sound.scaled(gain).lifted(factor)
        call = None
        name = next((name for name in CALL_TYPES if name == planned.kind), None)
        if name is not None:
            call = SimulatedCall(
                name,
                SPECIES[name],
                planned.position + sound.onset,
                planned.position + sound.offset,
                band_hz,
                planned.snr_db,
            )
        return _Active(planned.kind, planned.position, sound, call)


def working_factor(sample_rate_hz: int, highest_hz: float | None) -> int:
    """Largest divisor of the rate by which a sound that ends at highest_hz may be made slower."""
    if highest_hz is None:
        return 1
    most = max(1, int(sample_rate_hz // (2.2 * highest_hz)))
    return next(factor for factor in range(most, 0, -1) if sample_rate_hz % factor == 0)
