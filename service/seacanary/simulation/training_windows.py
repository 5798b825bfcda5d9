"""training_window: one window with exactly the wished calls in it, and everything else at random."""

from collections.abc import Collection

import numpy as np

from seacanary.simulation.scene import CallBouts, Scene
from seacanary.simulation.schedule import Planned
from seacanary.simulation.sounds import CALL_TYPES, CallTypeName, Rendered
from seacanary.simulation.soundscape import Soundscape
from seacanary.simulation.variety import SNR_DB, Part, random_negatives, random_recorder, random_scene

EMPTY_SHARE = 0.3
_PART_NUMBER = {"train": 0, "validation": 1, "test": 2}
_LEAST_HZ: dict[CallTypeName, float] = {"whistle": 16e3, "beluga_click": 60e3, "porpoise_click": 165e3}
_NEEDED = {"whistle": 0.05, "beluga_click": 0.02, "porpoise_click": 0.02}  # seconds of a call inside the window
_ATTEMPTS = 50


def training_window(
    seed: int,
    *,
    call_types: Collection[str] | None = None,
    part: Part = "train",
    sample_rate_hz: int = 384_000,
    samples: int = 393_216,
) -> Rendered:
    """One window for training, validation or test; the same arguments give the same window.

    60 % of windows have ship, rain, ice or strong flow noise, about 35 % a hard negative.
    Whistle SNR is 0-25 dB, click SNR 8-35 dB (see SimulatedCall).

    Args:
        seed: names the window within its part.
        call_types: exactly these call types sound in the window; None: drawn, 30 % none.
        part: seeds and parameter ranges, see random_scene.
        sample_rate_hz: rate, high enough to carry the wished call types.
        samples: length of the window.

    Returns:
        The window; positions are relative to it, and onsets below 0 are calls that began before.

    Raises:
        ValueError: a call type is unknown, or the rate cannot carry it.
    """
    rng = np.random.default_rng((seed, 4, _PART_NUMBER[part]))
    wished = _drawn_types(rng) if call_types is None else _known(call_types)
    for _ in range(_ATTEMPTS):
        scene = _window_scene(rng, wished=wished, part=part, seconds=samples / sample_rate_hz)
        plan = [p for name in wished for p in _calls(rng, name, samples=samples, rate=sample_rate_hz)]
        window = Soundscape(scene, sample_rate_hz=sample_rate_hz, planned=plan).render(samples)
        if _holds(window, wished, sample_rate_hz=sample_rate_hz):
            return window
    raise ValueError(f"{sorted(wished)} cannot be heard at {sample_rate_hz} Hz in {samples} samples")


def _drawn_types(rng: np.random.Generator) -> frozenset[CallTypeName]:
    if rng.random() < EMPTY_SHARE:
        return frozenset()
    count = int(rng.choice([1, 2, 3], p=[0.65, 0.28, 0.07]))
    return frozenset(CALL_TYPES[n] for n in rng.choice(len(CALL_TYPES), count, replace=False))


def _known(call_types: Collection[str]) -> frozenset[CallTypeName]:
    unknown = set(call_types) - set(CALL_TYPES)
    if unknown:
        raise ValueError(f"unknown call types {sorted(unknown)}; known are {', '.join(CALL_TYPES)}")
    return frozenset(name for name in CALL_TYPES if name in call_types)


def _window_scene(rng: np.random.Generator, *, wished: frozenset[CallTypeName], part: Part, seconds: float) -> Scene:
    scene = random_scene(rng, part=part)
    silent = CallBouts(bouts_per_min=0)
    negatives = random_negatives(rng)
    return scene.model_copy(
        update={
            "whistle": silent,
            "beluga_click": silent,
            "porpoise_click": silent,
            "negatives": tuple(n.model_copy(update={"per_min": n.per_min + 60 / seconds}) for n in negatives),
            "recorder": random_recorder(rng, part=part, least_hz=max((_LEAST_HZ[n] for n in wished), default=0.0)),
        }
    )


def _calls(rng: np.random.Generator, name: CallTypeName, *, samples: int, rate: int) -> list[Planned]:
    """One to five calls of a type that begin from shortly before the window until shortly before its end."""
    most = 6 if name == "whistle" else 4
    count = int(np.clip(rng.geometric(0.5), 1, most))
    level = rng.uniform(*SNR_DB[name])
    return [
        Planned(
            position=int(rng.uniform(-0.5 * rate if n else 0, samples - 0.1 * rate)),
            seed=int(rng.integers(2**62)),
            kind=name,
            snr_db=float(np.clip(level + (rng.normal(0, 4) if n else 0), *SNR_DB[name])),
        )
        for n in range(count)
    ]


def _holds(window: Rendered, wished: frozenset[CallTypeName], *, sample_rate_hz: int) -> bool:
    """Whether exactly the wished call types sound, each long enough inside the window."""
    inside = dict.fromkeys(CALL_TYPES, 0)
    for call in window.calls:
        seen = min(call.offset_sample, window.samples.size) - max(call.onset_sample, 0)
        inside[call.call_type] = max(inside[call.call_type], seen)
    enough = all(inside[name] >= _NEEDED[name] * sample_rate_hz for name in wished)
    return enough and set(window.stems) == set(wished)
