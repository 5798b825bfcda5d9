"""training_window: one window with exactly the wished calls in it, and everything else at random."""

from collections.abc import Collection

import numpy as np

from seacanary.simulation.scene import CallBouts, Scene
from seacanary.simulation.schedule import Planned
from seacanary.simulation.sounds import CALL_TYPES, CallTypeName, Rendered, SimulatedCall
from seacanary.simulation.soundscape import Soundscape
from seacanary.simulation.variety import (
    NOISY_SHARE,
    TRAINING_MIX,
    Part,
    WindowMix,
    foreign_recorder,
    random_ambient,
    random_negatives,
    random_recorder,
    random_scene,
    random_ship,
    with_sane_gain,
)

EMPTY_SHARE = 0.3
CHORUS_SHARE = 0.12  # of whistle windows: a whole pod calls at once
_PART_NUMBER = {"train": 0, "validation": 1, "test": 2}
_LEAST_HZ: dict[CallTypeName, float] = {"whistle": 8e3, "beluga_click": 60e3, "porpoise_click": 165e3}
_ATTEMPTS = 50
# form of the SNR's distribution over its range: faint ones are fewer than with a uniform draw
_LEVELS: dict[CallTypeName, tuple[float, float]] = {
    "whistle": (1.5, 1.2),
    "beluga_click": (2.2, 1.0),
    "porpoise_click": (2.2, 1.0),
}


def training_window(
    seed: int,
    *,
    call_types: Collection[str] | None = None,
    part: Part = "train",
    mix: WindowMix = TRAINING_MIX,
    sample_rate_hz: int = 384_000,
    samples: int = 393_216,
) -> Rendered:
    """One window for training, validation or test; the same arguments give the same window.

    About 60 % of windows have ship, rain, ice or strong flow noise; hard negatives and SNRs
    are as the mix says.

    Args:
        seed: names the window within its part.
        call_types: exactly these call types sound in the window; None: drawn, 30 % none.
        part: seeds and parameter ranges, see random_scene.
        mix: how often and how loud things are.
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
        scene = _window_scene(rng, wished=wished, part=part, mix=mix)
        plan = _negatives(rng, mix, samples=samples, rate=sample_rate_hz)
        for name in CALL_TYPES:
            if name in wished:
                plan += _calls(rng, name, mix, samples=samples, rate=sample_rate_hz)
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


def _window_scene(rng: np.random.Generator, *, wished: frozenset[CallTypeName], part: Part, mix: WindowMix) -> Scene:
    recorder = random_recorder(rng, part=part, least_hz=max((_LEAST_HZ[n] for n in wished), default=0.0))
    if mix.foreign_recorder:
        recorder = foreign_recorder(rng)
    changed: dict[str, object] = {name: CallBouts(bouts_per_min=0) for name in CALL_TYPES}
    scene = random_scene(rng, part=part)
    if mix.always_noisy:
        scene = _noisy_or_quiet(rng, scene, part=part, mix=mix)
    return with_sane_gain(scene.model_copy(update=changed | {"negatives": (), "recorder": recorder}))


def _noisy_or_quiet(rng: np.random.Generator, scene: Scene, *, part: Part, mix: WindowMix) -> Scene:
    """The scene with a new sea: noisy in NOISY_SHARE of draws, and then with a noise that is really there."""
    noisy = rng.random() < NOISY_SHARE
    ambient = random_ambient(rng, part=part, noisy=noisy)
    if not mix.ice:
        ambient = ambient.model_copy(update={"melt_db": 0.0, "ice_cracks_per_min": 0.0})
    there = ambient.rain_mm_h > 0 or ambient.flow_db > 90 or ambient.melt_db > 0 or ambient.ice_cracks_per_min > 0
    shipped = noisy and (not there or rng.random() < 0.5)
    ships = tuple(random_ship(rng, part=part) for _ in range(int(rng.integers(1, 3)))) if shipped else ()
    return scene.model_copy(update={"ambient": ambient, "ships": ships})


def _negatives(rng: np.random.Generator, mix: WindowMix, *, samples: int, rate: int) -> list[Planned]:
    """One to four of each drawn kind; the first begins in the window, others perhaps up to a second before."""
    return [
        Planned(
            position=int(rng.uniform(-rate if n else 0, 0.9 * samples)),
            seed=int(rng.integers(2**62)),
            kind=negative.kind,
            snr_db=float(rng.uniform(*negative.snr_db)),
        )
        for negative in random_negatives(rng, mix=mix)
        for n in range(min(int(rng.geometric(0.6)), 4))
    ]


def _calls(rng: np.random.Generator, name: CallTypeName, mix: WindowMix, *, samples: int, rate: int) -> list[Planned]:
    """One to five calls of a type, or a chorus; the first begins in the window, others perhaps 0.5 s before."""
    chorus = name == "whistle" and rng.random() < CHORUS_SHARE
    count = int(rng.integers(6, 16)) if chorus else min(int(rng.geometric(0.5)), 5)
    low, high = mix.whistle_db if name == "whistle" else mix.click_db
    level = low + (high - low) * (rng.beta(*_LEVELS[name]) if mix.faint_rarer else rng.random())
    return [
        Planned(
            position=int(rng.uniform(-0.5 * rate if n else 0, samples - 0.1 * rate)),
            seed=int(rng.integers(2**62)),
            kind=name,
            snr_db=float(np.clip(level + (rng.normal(-2, 5) if n else 0), low, high)),
            noise_band_hz=mix.click_noise_band_hz.get(name),
        )
        for n in range(count)
    ]


def _holds(window: Rendered, wished: frozenset[CallTypeName], *, sample_rate_hz: int) -> bool:
    """Whether exactly the wished call types sound, each with one call that lies in the window for the most part."""
    inside = {c.call_type for c in window.calls if _mostly_inside(c, window.samples.size, sample_rate_hz)}
    return inside == set(window.stems) == set(wished)


def _mostly_inside(call: SimulatedCall, samples: int, sample_rate_hz: int) -> bool:
    """Whether 60 % of the call, or half a second of it, are in the window."""
    seen = min(call.offset_sample, samples) - max(call.onset_sample, 0)
    return seen >= min(0.6 * (call.offset_sample - call.onset_sample), 0.5 * sample_rate_hz)
